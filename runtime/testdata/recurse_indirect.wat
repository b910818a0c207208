;; A function that calls itself through the table without end, twice, so that
;; without a limit of the depth it would never end.
(module
  (type $t (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 1) $f)
  (func $f (type $t)
    (i32.add
      (call_indirect (type $t) (i32.add (local.get 0) (i32.const 1)) (i32.const 1))
      (call_indirect (type $t) (i32.add (local.get 0) (i32.const 1)) (i32.const 1))))
  (func (export "_start") (drop (call $f (i32.const 0)))))

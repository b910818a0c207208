;; A loop without end that the host ends.
(module
  (import "bowline" "yield" (func $yield))
  (global $n (mut i32) (i32.const 0))
  (func (export "spin")
    (loop $l
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (call $yield)
      (br $l)))
  (func (export "n") (result i32) (global.get $n)))

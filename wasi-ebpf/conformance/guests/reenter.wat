;; Exports that are called again from inside a host call of theirs.
(module
  (import "env" "again" (func $again (param i32) (result i32)))
  (func $down (export "down") (param $n i32) (result i32) (local $a i32) (local $b i32)
    (local.set $a (i32.mul (local.get $n) (i32.const 10)))
    (if (result i32) (i32.eqz (local.get $n))
      (then (i32.const 1))
      (else
        (local.set $b (call $again (i32.sub (local.get $n) (i32.const 1))))
        ;; $n and $a must have survived
        (i32.add (i32.add (local.get $a) (local.get $n)) (local.get $b)))))
  (func (export "twice") (param $n i32) (result i32)
    (i32.add (call $again (local.get $n)) (call $again (local.get $n))))
  (func (export "for_ever") (param $n i32) (result i32) (call $again (i32.const -1))))

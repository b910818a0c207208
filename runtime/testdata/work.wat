;; Works ever longer, by a loop, by recursion and through the table, and writes a
;; letter after each piece of work, until it is stopped or has written a thousand.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (type $work (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (table funcref (elem $loop $fib $nested))
  (data (i32.const 0) "\10\00\00\00\01\00\00\00")
  (func $loop (type $work) (local i32)
    (loop $l
      (local.set 1 (i32.add (i32.mul (local.get 1) (i32.const 31)) (local.get 0)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $fib (type $work)
    (if (i32.lt_u (local.get 0) (i32.const 2)) (then (return (local.get 0))))
    (i32.add
      (call $fib (i32.sub (local.get 0) (i32.const 1)))
      (call $fib (i32.sub (local.get 0) (i32.const 2)))))
  (func $nested (type $work) (local i32)
    (loop $l
      (local.set 1 (i32.add (local.get 1) (call $loop (i32.add (local.get 0) (i32.const 1)))))
      (br_if $l (i32.ge_s (local.tee 0 (i32.sub (local.get 0) (i32.const 3))) (i32.const 0))))
    (local.get 1))
  (func (export "_start") (local $i i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (i32.store8 (i32.const 16) (i32.add (i32.const 97) (i32.rem_u
        (i32.add
          (call_indirect (type $work) (local.get $i) (i32.const 0))
          (i32.add
            (call_indirect (type $work) (i32.and (local.get $i) (i32.const 15)) (i32.const 1))
            (call_indirect (type $work) (local.get $i) (i32.const 2))))
        (i32.const 26))))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))))

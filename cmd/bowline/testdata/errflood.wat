;; Writes 5000 lines to standard error, a hundred at a time, and ends.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\c8\00\00\00")
  (func (export "_start")
    (local $i i32)
    (loop $fill ;; "x\n" a hundred times, from 16 on
      (i32.store16 (i32.add (i32.const 16) (i32.mul (local.get $i) (i32.const 2))) (i32.const 0x0a78))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (local.set $i (i32.const 50))
    (loop $again
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))))

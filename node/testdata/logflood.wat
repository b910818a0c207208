;; Writes to standard error without end, 64 KiB at a time: short lines, or with the argument "o" one line.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 0) "\00\00\01\00\00\00\01\00") ;; 64 KiB at 64 KiB
  (func (export "_start")
    (local $at i32) (local $unit i32)
    (drop (call $args (i32.const 100) (i32.const 200)))
    (local.set $unit (select (i32.const 0x7878) (i32.const 0x0a78)
      (i32.eq (i32.load8_u (i32.load (i32.const 104))) (i32.const 111))))
    (local.set $at (i32.const 65536))
    (loop $fill
      (i32.store16 (local.get $at) (local.get $unit))
      (br_if $fill (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2))) (i32.const 131072))))
    (loop $again
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br $again))))

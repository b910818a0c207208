;; Opens the directory of descriptor 3 again and again until it cannot, then closes one and opens one, moves one onto
;; another and opens one more, and ends with how many times it could open one.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) ".")
  (global $n (mut i32) (i32.const 0))
  (func $open (result i32) ;; whether it went well; the descriptor is at 16
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 2)
        (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16))
      (then (return (i32.const 0))))
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.const 1))
  (func (export "_start")
    (loop $more (br_if $more (i32.and (i32.lt_u (global.get $n) (i32.const 2000)) (call $open))))
    (if (call $close (i32.load (i32.const 16))) (then unreachable))
    (if (i32.eqz (call $open)) (then unreachable))
    (if (call $open) (then unreachable))
    (if (call $renumber (i32.load (i32.const 16)) (i32.sub (i32.load (i32.const 16)) (i32.const 1))) (then unreachable))
    (if (i32.eqz (call $open)) (then unreachable))
    (if (call $open) (then unreachable))
    (call $exit (global.get $n))))

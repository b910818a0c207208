;; Works for some milliseconds, again and again, and in between does what the first letter of its argument says:
;; "-" nothing, "w" writes a line, "s" seeks in descriptor 3, "o" opens a file that is not there, "r" gets
;; random numbers, "c" asks the time, "y" yields, "h" calls the host's test.work. With "b" the host works by calling it
;; back from one call of test.call_back, and with "e" it calls something back that never ends. Ends with 9.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "test" "work" (func $host))
  (import "test" "call_back" (func $call_back (param i32 i32)))
  (memory (export "memory") 1)
  (table (export "__indirect_function_table") 2 2 funcref)
  (elem (i32.const 0) $work $forever)
  (data (i32.const 0) "\08\00\00\00\03\00\00\00up\n")

  (func $work
    (local $i i32)
    (local.set $i (i32.const 2500000))
    (loop $again (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))

  (func $forever (loop $again (br $again)))

  (func $is (param $letter i32) (result i32) ;; of the argument after the program's name
    (i32.eq (i32.load8_u (i32.load (i32.const 104))) (local.get $letter)))

  (func (export "_start")
    (local $rounds i32)
    (local.set $rounds (i32.const 60))
    (drop (call $args (i32.const 100) (i32.const 200)))
    (if (call $is (i32.const 98)) (then
      (call $call_back (i32.const 0) (local.get $rounds))
      (call $exit (i32.const 9))))
    (if (call $is (i32.const 101)) (then (call $call_back (i32.const 1) (i32.const 1))))
    (loop $again
      (call $work)
      (if (call $is (i32.const 119))
        (then (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
      (if (call $is (i32.const 115))
        (then (drop (call $seek (i32.const 3) (i64.const 0) (i32.const 0) (i32.const 24)))))
      (if (call $is (i32.const 111))
        (then (drop (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 2) (i32.const 0)
          (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 32)))))
      (if (call $is (i32.const 114)) (then (drop (call $random (i32.const 32) (i32.const 8)))))
      (if (call $is (i32.const 99)) (then (drop (call $time (i32.const 1) (i64.const 0) (i32.const 32)))))
      (if (call $is (i32.const 121)) (then (drop (call $yield))))
      (if (call $is (i32.const 104)) (then (call $host)))
      (br_if $again (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (call $exit (i32.const 9))))

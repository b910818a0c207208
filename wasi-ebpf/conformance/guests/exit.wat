;; proc_exit, also from under a host call.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "env" "nested" (func $nested (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $steps (mut i32) (i32.const 0))
  (func (export "exit") (param i32) (call $exit (local.get 0)) (unreachable))
  (func (export "nested") (param i32) (result i32)
    (global.set $steps (i32.add (global.get $steps) (i32.const 1)))
    (call $nested (local.get 0)))
  (func (export "steps") (result i32) (i32.store (i32.const 0) (global.get $steps)) (i32.load (i32.const 0))))

;; The start function calls the host, which answers or fails; then it may trap.
(module
  (import "env" "started" (func $started (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "data")
  (global $g (mut i32) (i32.const 0))
  (func $start
    (global.set $g (call $started (i32.const 5)))
    (if (i32.eq (global.get $g) (i32.const 13)) (then unreachable)))
  (start $start)
  (func (export "value") (result i32) (global.get $g)))

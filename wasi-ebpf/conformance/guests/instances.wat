;; Instances of one module share nothing.
(module
  (import "env" "tell" (func $tell (param i32)))
  (memory (export "memory") 1)
  (global $g (mut i32) (i32.const 0))
  (func (export "bump") (result i32)
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.store (i32.const 16) (global.get $g))
    (call $tell (global.get $g))
    (global.get $g)))

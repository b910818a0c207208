;; A memory that is not exported; it has a maximum.
(module
  (memory 1 3)
  (data (i32.const 8) "hidden")
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))

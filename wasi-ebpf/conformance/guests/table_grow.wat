;; A table that grows, within limits.
(module
  (table $t 1 funcref)
  (elem declare func $one)
  (func $one (result i32) (i32.const 1))
  (func (export "grow") (param i32) (result i32) (table.grow $t (ref.func $one) (local.get 0)))
  (func (export "size") (result i32) (table.size $t)))

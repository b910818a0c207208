;; A table that is not exported is still table 0.
(module
  (table 2 funcref)
  (elem (i32.const 1) $one)
  (func $one (result i32) (i32.const 1)))

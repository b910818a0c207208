;; The exported name counts more than the position.
(module
  (table 4 funcref)
  (table (export "__indirect_function_table") 2 funcref)
  (elem (table 0) (i32.const 1) func $zero $zero $zero)
  (elem (table 1) (i32.const 1) func $one)
  (func $zero (result i32) (i32.const 0))
  (func $one (result i32) (i32.const 1)))

;; No memory, no table, nothing imported.
(module
  (func (export "seven") (result i32) (i32.const 7)))

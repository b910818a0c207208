;; Imports that somebody has to provide.
(module
  (import "env" "one" (func (param i32) (result i64)))
  (import "other" "two" (func))
  (func (export "f")))

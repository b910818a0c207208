;; Values of all four number types cross the border both ways.
(module
  (import "env" "i32" (func $i32 (param i32) (result i32)))
  (import "env" "i64" (func $i64 (param i64) (result i64)))
  (import "env" "f32" (func $f32 (param f32) (result f32)))
  (import "env" "f64" (func $f64 (param f64) (result f64)))
  (import "env" "mix" (func $mix (param i32 i64 f32 f64) (result f64 f32 i64 i32)))
  (import "env" "nothing" (func $nothing))
  (import "env" "many" (func $many
    (param i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 f32 f64) (result i64)))
  (import "env" "dirty" (func $dirty (result i32)))
  (func (export "i32") (param i32) (result i32) (call $i32 (local.get 0)))
  (func (export "i64") (param i64) (result i64) (call $i64 (local.get 0)))
  (func (export "f32") (param f32) (result f32) (call $f32 (local.get 0)))
  (func (export "f64") (param f64) (result f64) (call $f64 (local.get 0)))
  (func (export "mix") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (call $mix (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "nothing") (call $nothing))
  (func (export "many") (param i32) (result i64)
    (call $many (local.get 0) (i64.const -2) (i32.const 3) (i64.const -4) (i32.const 5) (i64.const -6)
      (i32.const 7) (i64.const -8) (i32.const 9) (i64.const -10) (f32.const 11.5) (f64.const -12.25)))
  ;; The upper half of an i32's slot is nobody's.
  (func (export "narrow") (param i64) (result i32) (call $i32 (i32.wrap_i64 (local.get 0))))
  (func (export "narrow_only") (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
  (func (export "widen") (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
  (func (export "widen_host") (result i64) (i64.extend_i32_u (call $dirty)))
  ;; An import that is exported again.
  (export "again" (func $i32)))

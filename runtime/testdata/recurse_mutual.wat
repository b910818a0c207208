;; Functions that call one another without end, without loops, one of them with a
;; large frame and much on the operand stack.
(module
  (func $a (export "_start") (call $b (i64.const 1)))
  (func $b (param i64) (local v128 v128 v128 v128 v128 v128 v128 v128)
    (local.get 0) (call $c (local.get 0)) (local.get 0) (call $c (local.get 0)) (local.get 0)
    (i64.add) (i64.add) (i64.add) (i64.add) (drop))
  (func $c (param i64) (result i64) (call $a) (local.get 0)))

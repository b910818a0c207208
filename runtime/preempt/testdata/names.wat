;; A module with imports, all kinds of exports, names, element segments of
;; several forms and a start function. wat2wasm --debug-names names.wat
(module $names
  (type $unary (func (param i32) (result i32)))
  (type $pair (func (param i64) (result i64 i32)))
  (import "env" "log" (func $log (param i32)))
  (import "env" "base" (global $base i32))
  (table $t 8 funcref)
  (table $u 4 funcref)
  (memory $m 1)
  (global $g (mut i32) (i32.const 5))
  (global $f funcref (ref.func $double))
  (elem (table $t) (i32.const 0) func $double $even $odd)
  (elem (table $u) (i32.const 0) funcref (ref.func $odd) (ref.null func))
  (elem $passive func $even)
  (elem $passive2 funcref (ref.func $double))
  (elem declare func $start)
  (func $double (param $x i32) (result i32) (local $twice i32)
    local.get $x local.get $x i32.add local.tee $twice)
  (func $even (param $n i32) (result i32)
    local.get $n i32.eqz if i32.const 1 return end
    local.get $n i32.const 1 i32.sub call $odd)
  (func $odd (param $n i32) (result i32)
    local.get $n i32.eqz if i32.const 0 return end
    local.get $n i32.const 1 i32.sub call $even)
  (func $both (param $x i64) (result i64 i32)
    local.get $x i64.eqz if local.get $x i32.const 1 return end
    block $out (result i64 i32)
      loop $again (result i64 i32)
        local.get $x i64.const 1 i64.sub local.tee $x i32.const 2
        local.get $x i64.const 10 i64.gt_s br_if $out
        drop drop
        local.get $x i64.const 0 i64.gt_s br_if $again
        local.get $x call $both
      end
    end)
  (func $start
    global.get $g call $log
    ref.func $start drop
    i32.const 2 i32.const 0 i32.const 1 table.init $t $passive)
  (start $start)
  (export "f0" (func $double)) (export "f1" (func $even)) (export "f2" (func $both))
  (export "t" (table $t)) (export "m" (memory $m)) (export "g" (global $g))
  (data (global.get $base) "hello"))

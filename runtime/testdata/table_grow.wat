;; Grows two tables as far as they go, in large steps and then in small ones, and ends with the sum of their
;; sizes as its exit code. The first says that it may have 300 million elements, the second does not say.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table $a 10 300000000 funcref)
  (table $b 20 funcref)
  (table $fixed 5 5 funcref)
  (func (export "_start")
    (local $step i32)
    (local.set $step (i32.const 100000000))
    (loop $smaller
      (loop $a (br_if $a (i32.ne (table.grow $a (ref.null func) (local.get $step)) (i32.const -1))))
      (loop $b (br_if $b (i32.ne (table.grow $b (ref.null func) (local.get $step)) (i32.const -1))))
      (local.set $step (i32.div_u (local.get $step) (i32.const 10)))
      (br_if $smaller (local.get $step)))
    (call $exit (i32.add (table.size $fixed) (i32.add (table.size $a) (table.size $b))))))

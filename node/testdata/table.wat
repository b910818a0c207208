;; Grows its table without end; ends when it may not.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "_start")
    loop $more
      (br_if $more (i32.ne (table.grow $t (ref.null func) (i32.const 4096)) (i32.const -1)))
    end
    (call $exit (i32.const 7))))

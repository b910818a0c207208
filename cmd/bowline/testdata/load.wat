;; Loads the BPF object that the test put at 65536 (its length at 65532), attaches "on_exec" and says "event" for every
;; record of the ring buffer "events". Exits with 1 if that cannot be done.
(module
  (import "wasm_bpf" "wasm_load_bpf_object" (func $load (param i32 i32) (result i64)))
  (import "wasm_bpf" "wasm_attach_bpf_program" (func $attach (param i64 i32 i32) (result i32)))
  (import "wasm_bpf" "wasm_bpf_map_fd_by_name" (func $map (param i64 i32) (result i32)))
  (import "wasm_bpf" "wasm_bpf_buffer_poll" (func $poll (param i64 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 4)
  (table (export "__indirect_function_table") 1 funcref)
  (elem (i32.const 0) $event)
  (func $event (param i32 i32 i32) (result i32)
    (i32.store (i32.const 40) (i32.const 60))
    (i32.store (i32.const 44) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 48)))
    (i32.const 0))
  (func (export "_start") (local $object i64) (local $events i32)
    (i64.store (i32.const 0) (i64.const 0x00636578655f6e6f))  ;; "on_exec"
    (i64.store (i32.const 20) (i64.const 0x000073746e657665)) ;; "events"
    (i64.store (i32.const 60) (i64.const 0x00000a746e657665)) ;; "event\n"
    (local.set $object (call $load (i32.const 65536) (i32.load (i32.const 65532))))
    (if (i64.eqz (local.get $object)) (then (call $exit (i32.const 1))))
    (if (i32.lt_s (call $attach (local.get $object) (i32.const 0) (i32.const 0)) (i32.const 0))
      (then (call $exit (i32.const 1))))
    (local.set $events (call $map (local.get $object) (i32.const 20)))
    (loop $next
      (br_if $next (i32.ge_s (call $poll (local.get $object) (local.get $events) (i32.const 0) (i32.const 0)
        (i32.const 1024) (i32.const 256) (i32.const 100)) (i32.const 0))))
    (call $exit (i32.const 1))))

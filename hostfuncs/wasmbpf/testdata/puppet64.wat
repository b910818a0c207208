;; A guest as the ancestor's Rust and Go SDKs make them: the pointers of
;; map_operate are i64.
(module
  (import "wasm_bpf" "wasm_load_bpf_object" (func $load (param i32 i32) (result i64)))
  (import "wasm_bpf" "wasm_bpf_map_fd_by_name" (func $map (param i64 i32) (result i32)))
  (import "wasm_bpf" "wasm_bpf_map_operate" (func $op (param i32 i32 i64 i64 i64 i64) (result i32)))
  (memory (export "memory") 16)
  (func (export "load") (param i32 i32) (result i64) (call $load (local.get 0) (local.get 1)))
  (func (export "map") (param i64 i32) (result i32) (call $map (local.get 0) (local.get 1)))
  (func (export "op") (param i32 i32 i64 i64 i64 i64) (result i32)
    (call $op (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5))))

;; Imports what nobody provides, under a name that is nearly right.
(module
  (import "wasm_bpf" "wasm_load_bpf_objekt" (func (param i32 i32) (result i64)))
  (memory (export "memory") 1 16)
  (table (export "__indirect_function_table") 2 funcref)
  (func (export "_start")))

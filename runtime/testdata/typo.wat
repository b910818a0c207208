(module (import "wasm_bpf" "wasm_load_bpf_objekt" (func (param i32 i32) (result i64))))

(module (import "wasm_bpf" "wasm_load_bpf_object" (func (param i32) (result i32))))

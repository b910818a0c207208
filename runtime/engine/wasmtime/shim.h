//go:build wasmtime && cgo

#ifndef BOWLINE_SHIM_H
#define BOWLINE_SHIM_H

#include "abi.h"

// bowline_instance is the C side of one Go instance. mem and mem_len are the
// linear memory as of the last time that guest code ran; Go reads them directly.
struct bowline_instance {
	wasmtime_store_t *store;
	wasmtime_context_t *context;
	uint64_t handle; // finds the Go side
	uint64_t crossings; // calls between guest and host
	uint8_t *mem;
	size_t mem_len;
	wasmtime_memory_t memory;
	wasmtime_table_t table;
	wasmtime_instance_t instance;
	bool has_memory, has_table;
	wasm_trap_t *trap;       // outcome of the last call, owned by whoever
	wasmtime_error_t *error; // takes it; both NULL after success
};

// bowline_func is a guest function together with the shape of its stack. Bit i of
// a narrow mask says that slot i holds 32 bits.
struct bowline_func {
	uint64_t store_id, ref;
	uint64_t narrow_params, narrow_results;
	uint32_t nparams, nresults;
};

// bowline_host is one host function of one instance.
struct bowline_host {
	struct bowline_instance *in;
	uint64_t narrow_params, narrow_results;
	uint32_t nparams, nresults;
	uint32_t index;
};

// bowline_engine_new makes an engine with the features of WebAssembly 2.0.
wasm_engine_t *bowline_engine_new(size_t max_stack, uint64_t reservation);

// bowline_instance_new makes a store with its limits; NULL when memory is out.
struct bowline_instance *bowline_instance_new(wasm_engine_t *, uint64_t handle,
	int64_t memory_limit, int64_t table_limit);
void bowline_instance_delete(struct bowline_instance *);

// bowline_functype_new takes kinds as wasm_valkind_t.
wasm_functype_t *bowline_functype_new(const uint8_t *kinds, size_t nparams, size_t nresults);

// bowline_host_new makes a function that calls into Go, bowline_clock_new one that
// answers clock_time_get here.
void bowline_host_new(struct bowline_instance *, struct bowline_host *, const wasm_functype_t *,
	wasmtime_extern_t *);
void bowline_clock_new(struct bowline_instance *, const wasm_functype_t *, wasmtime_extern_t *);

// bowline_wasi_get takes a function of Wasmtime's own WASI for an instance.
bool bowline_wasi_get(const wasmtime_linker_t *, struct bowline_instance *, const char *name, size_t len,
	wasmtime_extern_t *);

// bowline_instantiate answers 0, or 1 with trap or error set.
int bowline_instantiate(struct bowline_instance *, const wasmtime_module_t *, const wasmtime_extern_t *,
	size_t n, wasmtime_instance_t *);

// bowline_find_memory and bowline_find_table look the exports up that the
// instance is to use.
void bowline_find_memory(struct bowline_instance *, const char *name, size_t len);
void bowline_find_table(struct bowline_instance *, const char *name, size_t len);
bool bowline_find_func(struct bowline_instance *, const wasmtime_instance_t *, const char *name, size_t len,
	struct bowline_func *);
void bowline_memory_extern(struct bowline_instance *, wasmtime_extern_t *);

// bowline_table_func answers 0 and the function, or 1 for an index that is out of
// range or null.
int bowline_table_func(struct bowline_instance *, uint32_t index, struct bowline_func *);
wasm_functype_t *bowline_func_type(struct bowline_instance *, const struct bowline_func *);

// bowline_call answers 0, or 1 with trap or error set.
int bowline_call(struct bowline_instance *, const struct bowline_func *, uint64_t *stack);

#endif // BOWLINE_SHIM_H

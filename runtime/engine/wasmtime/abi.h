//go:build wasmtime && cgo

// The part of Wasmtime's C ABI, version 39, that shim.c uses.
//
// cgo cannot find the headers of another Go module, so the declarations are
// repeated here. TestDeclarationsMatchTheLibrary compiles this file after the real
// headers: every prototype is then a redeclaration that the compiler compares, and
// the assertions at the end hold for the real structures as well.

#ifndef BOWLINE_ABI_H
#define BOWLINE_ABI_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOWLINE_WASMTIME_VERSION "39.0.0"

typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasm_frame_t wasm_frame_t;
typedef struct wasm_valtype_t wasm_valtype_t;
typedef struct wasm_functype_t wasm_functype_t;
typedef struct wasm_externtype_t wasm_externtype_t;
typedef struct wasm_importtype_t wasm_importtype_t;
typedef struct wasm_tabletype_t wasm_tabletype_t;
typedef struct wasm_exporttype_t wasm_exporttype_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct wasmtime_caller wasmtime_caller_t;
typedef struct wasmtime_linker wasmtime_linker_t;
typedef struct wasi_config_t wasi_config_t;

#ifndef BOWLINE_REAL_HEADERS

typedef struct wasm_byte_vec_t { size_t size; char *data; } wasm_byte_vec_t;
typedef struct wasm_valtype_vec_t { size_t size; wasm_valtype_t **data; } wasm_valtype_vec_t;
typedef struct wasm_frame_vec_t { size_t size; wasm_frame_t **data; } wasm_frame_vec_t;
typedef struct wasm_importtype_vec_t { size_t size; wasm_importtype_t **data; } wasm_importtype_vec_t;
typedef struct wasm_exporttype_vec_t { size_t size; wasm_exporttype_t **data; } wasm_exporttype_vec_t;

typedef struct wasmtime_func { uint64_t store_id; void *__private; } wasmtime_func_t;
typedef struct wasmtime_table {
	struct { uint64_t store_id; uint32_t __private1; };
	uint32_t __private2;
} wasmtime_table_t;
typedef struct wasmtime_memory {
	struct { uint64_t store_id; uint32_t __private1; };
	uint32_t __private2;
} wasmtime_memory_t;
typedef struct wasmtime_global {
	uint64_t store_id;
	uint32_t __private1, __private2, __private3;
} wasmtime_global_t;
typedef struct wasmtime_instance { uint64_t store_id; size_t __private; } wasmtime_instance_t;
typedef struct wasmtime_anyref {
	uint64_t store_id;
	uint32_t __private1, __private2;
	void *__private3;
} wasmtime_anyref_t;
typedef union wasmtime_extern_union {
	wasmtime_func_t func;
	wasmtime_global_t global;
	wasmtime_table_t table;
	wasmtime_memory_t memory;
} wasmtime_extern_union_t;
typedef struct wasmtime_extern { uint8_t kind; wasmtime_extern_union_t of; } wasmtime_extern_t;
typedef union wasmtime_valunion {
	int32_t i32;
	int64_t i64;
	wasmtime_anyref_t anyref;
	wasmtime_func_t funcref;
	uint8_t v128[16];
} wasmtime_valunion_t;
typedef struct wasmtime_val { uint8_t kind; wasmtime_valunion_t of; } wasmtime_val_t;
typedef union wasmtime_val_raw {
	int32_t i32;
	int64_t i64;
	uint8_t v128[16];
	void *funcref;
} wasmtime_val_raw_t;
typedef wasm_trap_t *(*wasmtime_func_unchecked_callback_t)(
	void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args_and_results, size_t n);

enum { WASMTIME_EXTERN_FUNC, WASMTIME_EXTERN_GLOBAL, WASMTIME_EXTERN_TABLE, WASMTIME_EXTERN_MEMORY };
enum { WASM_EXTERN_FUNC, WASM_EXTERN_GLOBAL, WASM_EXTERN_TABLE, WASM_EXTERN_MEMORY };
enum { WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_EXTERNREF = 128, WASM_FUNCREF };
enum { WASMTIME_FUNCREF = 5 };
enum { WASMTIME_STRATEGY_AUTO, WASMTIME_STRATEGY_CRANELIFT };
enum { WASMTIME_WASI_DIR_PERMS_READ = 1, WASMTIME_WASI_DIR_PERMS_WRITE = 2 };
enum { WASMTIME_WASI_FILE_PERMS_READ = 1, WASMTIME_WASI_FILE_PERMS_WRITE = 2 };

#endif // BOWLINE_REAL_HEADERS

// Byte vectors, types, frames.
void wasm_byte_vec_delete(wasm_byte_vec_t *);
void wasm_valtype_vec_new_uninitialized(wasm_valtype_vec_t *out, size_t);
void wasm_frame_vec_delete(wasm_frame_vec_t *);
void wasm_importtype_vec_delete(wasm_importtype_vec_t *);
void wasm_exporttype_vec_delete(wasm_exporttype_vec_t *);
wasm_valtype_t *wasm_valtype_new(uint8_t kind);
uint8_t wasm_valtype_kind(const wasm_valtype_t *);
wasm_functype_t *wasm_functype_new(wasm_valtype_vec_t *params, wasm_valtype_vec_t *results);
void wasm_functype_delete(wasm_functype_t *);
const wasm_valtype_vec_t *wasm_functype_params(const wasm_functype_t *);
const wasm_valtype_vec_t *wasm_functype_results(const wasm_functype_t *);
uint8_t wasm_externtype_kind(const wasm_externtype_t *);
const wasm_functype_t *wasm_externtype_as_functype_const(const wasm_externtype_t *);
const wasm_byte_vec_t *wasm_importtype_module(const wasm_importtype_t *);
const wasm_byte_vec_t *wasm_importtype_name(const wasm_importtype_t *);
const wasm_externtype_t *wasm_importtype_type(const wasm_importtype_t *);
const wasm_byte_vec_t *wasm_exporttype_name(const wasm_exporttype_t *);
const wasm_externtype_t *wasm_exporttype_type(const wasm_exporttype_t *);
uint32_t wasm_frame_func_index(const wasm_frame_t *);
size_t wasm_frame_module_offset(const wasm_frame_t *);
const wasm_byte_vec_t *wasmtime_frame_func_name(const wasm_frame_t *);

// Errors and traps.
void wasmtime_error_delete(wasmtime_error_t *);
void wasmtime_error_message(const wasmtime_error_t *, wasm_byte_vec_t *message);
void wasmtime_error_wasm_trace(const wasmtime_error_t *, wasm_frame_vec_t *out);
wasm_trap_t *wasmtime_trap_new(const char *msg, size_t len);
void wasm_trap_delete(wasm_trap_t *);
void wasm_trap_message(const wasm_trap_t *, wasm_byte_vec_t *out);
void wasm_trap_trace(const wasm_trap_t *, wasm_frame_vec_t *out);
bool wasmtime_trap_code(const wasm_trap_t *, uint8_t *code);

// Configuration, engine, modules.
wasm_config_t *wasm_config_new(void);
wasm_engine_t *wasm_engine_new_with_config(wasm_config_t *);
void wasm_engine_delete(wasm_engine_t *);
void wasmtime_config_max_wasm_stack_set(wasm_config_t *, size_t);
void wasmtime_config_wasm_threads_set(wasm_config_t *, bool);
void wasmtime_config_wasm_tail_call_set(wasm_config_t *, bool);
void wasmtime_config_wasm_reference_types_set(wasm_config_t *, bool);
void wasmtime_config_wasm_function_references_set(wasm_config_t *, bool);
void wasmtime_config_wasm_gc_set(wasm_config_t *, bool);
void wasmtime_config_wasm_simd_set(wasm_config_t *, bool);
void wasmtime_config_wasm_relaxed_simd_set(wasm_config_t *, bool);
void wasmtime_config_wasm_bulk_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_value_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_memory64_set(wasm_config_t *, bool);
void wasmtime_config_wasm_wide_arithmetic_set(wasm_config_t *, bool);
void wasmtime_config_wasm_exceptions_set(wasm_config_t *, bool);
void wasmtime_config_wasm_custom_page_sizes_set(wasm_config_t *, bool);
void wasmtime_config_strategy_set(wasm_config_t *, uint8_t);
void wasmtime_config_native_unwind_info_set(wasm_config_t *, bool);
void wasmtime_config_memory_may_move_set(wasm_config_t *, bool);
void wasmtime_config_memory_reservation_set(wasm_config_t *, uint64_t);
wasmtime_error_t *wasmtime_module_new(wasm_engine_t *, const uint8_t *wasm, size_t len, wasmtime_module_t **ret);
wasmtime_error_t *wasmtime_module_validate(wasm_engine_t *, const uint8_t *wasm, size_t len);
wasmtime_error_t *wasmtime_module_serialize(wasmtime_module_t *, wasm_byte_vec_t *ret);
wasmtime_error_t *wasmtime_module_deserialize(wasm_engine_t *, const uint8_t *bytes, size_t len,
	wasmtime_module_t **ret);
void wasmtime_module_delete(wasmtime_module_t *);
void wasmtime_module_imports(const wasmtime_module_t *, wasm_importtype_vec_t *out);
void wasmtime_module_exports(const wasmtime_module_t *, wasm_exporttype_vec_t *out);

// Stores, instances, functions, tables, memories.
wasmtime_store_t *wasmtime_store_new(wasm_engine_t *, void *data, void (*finalizer)(void *));
wasmtime_context_t *wasmtime_store_context(wasmtime_store_t *);
void wasmtime_store_limiter(wasmtime_store_t *, int64_t memory_size, int64_t table_elements,
	int64_t instances, int64_t tables, int64_t memories);
void wasmtime_store_delete(wasmtime_store_t *);
wasmtime_error_t *wasmtime_context_set_wasi(wasmtime_context_t *, wasi_config_t *);
wasmtime_error_t *wasmtime_instance_new(wasmtime_context_t *, const wasmtime_module_t *,
	const wasmtime_extern_t *imports, size_t nimports, wasmtime_instance_t *, wasm_trap_t **);
bool wasmtime_instance_export_get(wasmtime_context_t *, const wasmtime_instance_t *,
	const char *name, size_t name_len, wasmtime_extern_t *item);
void wasmtime_func_new_unchecked(wasmtime_context_t *, const wasm_functype_t *,
	wasmtime_func_unchecked_callback_t, void *env, void (*finalizer)(void *), wasmtime_func_t *ret);
wasm_functype_t *wasmtime_func_type(const wasmtime_context_t *, const wasmtime_func_t *);
wasmtime_error_t *wasmtime_func_call_unchecked(wasmtime_context_t *, const wasmtime_func_t *,
	wasmtime_val_raw_t *args_and_results, size_t len, wasm_trap_t **);
wasmtime_context_t *wasmtime_caller_context(wasmtime_caller_t *);
void wasm_tabletype_delete(wasm_tabletype_t *);
const wasm_valtype_t *wasm_tabletype_element(const wasm_tabletype_t *);
wasm_tabletype_t *wasmtime_table_type(const wasmtime_context_t *, const wasmtime_table_t *);
bool wasmtime_table_get(wasmtime_context_t *, const wasmtime_table_t *, uint64_t index, wasmtime_val_t *);
uint8_t *wasmtime_memory_data(const wasmtime_context_t *, const wasmtime_memory_t *);
size_t wasmtime_memory_data_size(const wasmtime_context_t *, const wasmtime_memory_t *);

// WASI preview 1.
wasmtime_linker_t *wasmtime_linker_new(wasm_engine_t *);
void wasmtime_linker_delete(wasmtime_linker_t *);
wasmtime_error_t *wasmtime_linker_define_wasi(wasmtime_linker_t *);
bool wasmtime_linker_get(const wasmtime_linker_t *, wasmtime_context_t *, const char *module,
	size_t module_len, const char *name, size_t name_len, wasmtime_extern_t *item);
wasi_config_t *wasi_config_new();
void wasi_config_delete(wasi_config_t *);
bool wasi_config_set_argv(wasi_config_t *, size_t argc, const char *argv[]);
bool wasi_config_set_env(wasi_config_t *, size_t envc, const char *names[], const char *values[]);
bool wasi_config_preopen_dir(wasi_config_t *, const char *host_path, const char *guest_path,
	size_t dir_perms, size_t file_perms);

#define BOWLINE_CHECK(cond) _Static_assert(cond, "the C ABI of Wasmtime differs: " #cond)
BOWLINE_CHECK(sizeof(wasm_byte_vec_t) == 16 && offsetof(wasm_byte_vec_t, data) == 8);
BOWLINE_CHECK(sizeof(wasm_valtype_vec_t) == 16 && offsetof(wasm_valtype_vec_t, data) == 8);
BOWLINE_CHECK(sizeof(wasm_frame_vec_t) == 16 && offsetof(wasm_frame_vec_t, data) == 8);
BOWLINE_CHECK(sizeof(wasm_importtype_vec_t) == 16 && offsetof(wasm_importtype_vec_t, data) == 8);
BOWLINE_CHECK(sizeof(wasm_exporttype_vec_t) == 16 && offsetof(wasm_exporttype_vec_t, data) == 8);
BOWLINE_CHECK(sizeof(wasmtime_func_t) == 16 && offsetof(wasmtime_func_t, __private) == 8);
BOWLINE_CHECK(sizeof(wasmtime_table_t) == 24 && offsetof(wasmtime_table_t, __private2) == 16);
BOWLINE_CHECK(sizeof(wasmtime_memory_t) == 24 && offsetof(wasmtime_memory_t, __private2) == 16);
BOWLINE_CHECK(sizeof(wasmtime_instance_t) == 16);
BOWLINE_CHECK(sizeof(wasmtime_extern_t) == 32 && offsetof(wasmtime_extern_t, of) == 8);
BOWLINE_CHECK(sizeof(wasmtime_val_t) == 32 && offsetof(wasmtime_val_t, of) == 8);
BOWLINE_CHECK(sizeof(wasmtime_val_raw_t) == 16 && _Alignof(wasmtime_val_raw_t) == 8);
BOWLINE_CHECK(WASMTIME_EXTERN_FUNC == 0 && WASMTIME_EXTERN_TABLE == 2 && WASMTIME_EXTERN_MEMORY == 3);
BOWLINE_CHECK(WASM_EXTERN_FUNC == 0 && WASM_EXTERN_MEMORY == 3);
BOWLINE_CHECK(WASM_I32 == 0 && WASM_F64 == 3 && WASM_EXTERNREF == 128 && WASM_FUNCREF == 129);
BOWLINE_CHECK(WASMTIME_FUNCREF == 5 && WASMTIME_STRATEGY_CRANELIFT == 1);
BOWLINE_CHECK(WASMTIME_WASI_DIR_PERMS_WRITE == 2 && WASMTIME_WASI_FILE_PERMS_WRITE == 2);

#endif // BOWLINE_ABI_H

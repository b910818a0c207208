//go:build wasmtime && cgo

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim.h"
#include "_cgo_export.h"

wasm_engine_t *bowline_engine_new(size_t max_stack, uint64_t reservation)
{
	wasm_config_t *c = wasm_config_new();

	wasmtime_config_strategy_set(c, WASMTIME_STRATEGY_CRANELIFT);
	wasmtime_config_max_wasm_stack_set(c, max_stack);
	wasmtime_config_native_unwind_info_set(c, false);
	// The base of a memory stays where it is: 32-bit memories fit the reservation.
	wasmtime_config_memory_reservation_set(c, reservation);
	wasmtime_config_memory_may_move_set(c, false);

	wasmtime_config_wasm_multi_value_set(c, true);
	wasmtime_config_wasm_bulk_memory_set(c, true);
	wasmtime_config_wasm_simd_set(c, true);
	wasmtime_config_wasm_relaxed_simd_set(c, false);
	wasmtime_config_wasm_threads_set(c, false);
	wasmtime_config_wasm_tail_call_set(c, false);
	wasmtime_config_wasm_gc_set(c, false);
	wasmtime_config_wasm_function_references_set(c, false);
	wasmtime_config_wasm_reference_types_set(c, true);
	wasmtime_config_wasm_multi_memory_set(c, false);
	wasmtime_config_wasm_memory64_set(c, false);
	wasmtime_config_wasm_wide_arithmetic_set(c, false);
	wasmtime_config_wasm_exceptions_set(c, false);
	wasmtime_config_wasm_custom_page_sizes_set(c, false);
	return wasm_engine_new_with_config(c);
}

// refresh takes note of growth; the base is fixed (memory_may_move is off).
static void refresh(struct bowline_instance *in)
{
	if (in->has_memory)
		in->mem_len = wasmtime_memory_data_size(in->context, &in->memory);
}

struct bowline_instance *bowline_instance_new(wasm_engine_t *engine, uint64_t handle,
	int64_t memory_limit, int64_t table_limit)
{
	struct bowline_instance *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->handle = handle;
	in->store = wasmtime_store_new(engine, NULL, NULL);
	in->context = wasmtime_store_context(in->store);
	wasmtime_store_limiter(in->store, memory_limit, table_limit, -1, -1, -1);
	return in;
}

void bowline_instance_delete(struct bowline_instance *in)
{
	wasmtime_store_delete(in->store);
	free(in);
}

static void fill(wasm_valtype_vec_t *v, const uint8_t *kinds, size_t n)
{
	wasm_valtype_vec_new_uninitialized(v, n);
	for (size_t i = 0; i < n; i++)
		v->data[i] = wasm_valtype_new(kinds[i]);
}

wasm_functype_t *bowline_functype_new(const uint8_t *kinds, size_t nparams, size_t nresults)
{
	wasm_valtype_vec_t params, results;

	fill(&params, kinds, nparams);
	fill(&results, kinds + nparams, nresults);
	return wasm_functype_new(&params, &results);
}

// enter makes the context of the caller the current one, and memory known.
static wasmtime_context_t *enter(struct bowline_instance *in, wasmtime_caller_t *caller)
{
	wasmtime_context_t *outer = in->context;

	in->context = wasmtime_caller_context(caller);
	refresh(in);
	return outer;
}

static wasm_trap_t *host_call(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	struct bowline_host *h = env;
	struct bowline_instance *in = h->in;
	wasmtime_context_t *outer = enter(in, caller);
	uint64_t stack[n + 1];
	int failed;

	in->crossings++;
	for (uint32_t i = 0; i < h->nparams; i++)
		stack[i] = h->narrow_params >> i & 1 ? (uint32_t)raw[i].i32 : (uint64_t)raw[i].i64;
	for (size_t i = h->nparams; i < n; i++)
		stack[i] = 0;
	failed = bowlineHost(in->handle, h->index, stack, n);
	in->context = outer;
	if (failed)
		return wasmtime_trap_new("host function failed", 20);
	for (uint32_t i = 0; i < h->nresults; i++)
		raw[i].i64 = h->narrow_results >> i & 1 ? (uint32_t)stack[i] : stack[i];
	return NULL;
}

static void as_func(wasmtime_extern_t *item)
{
	memset(item, 0, sizeof(*item));
	item->kind = WASMTIME_EXTERN_FUNC;
}

void bowline_host_new(struct bowline_instance *in, struct bowline_host *h, const wasm_functype_t *type,
	wasmtime_extern_t *item)
{
	h->in = in;
	as_func(item);
	wasmtime_func_new_unchecked(in->context, type, host_call, h, NULL, &item->of.func);
}

// clock_time_get(id, precision, *time): the kernel's own clocks, so that the
// monotonic one is what bpf_ktime_get_ns counts.
static wasm_trap_t *clock_time(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t n)
{
	struct bowline_instance *in = env;
	uint32_t id = (uint32_t)raw[0].i32;
	uint64_t at = (uint32_t)raw[2].i32;
	struct timespec ts;
	uint64_t ns;

	(void)n;
	in->crossings++;
	in->context = enter(in, caller);
	if (id > 1) {
		raw[0].i64 = 28; // EINVAL
	} else if (!in->has_memory || at + 8 > in->mem_len) {
		raw[0].i64 = 21; // EFAULT
	} else {
		clock_gettime(id ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ts);
		ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
		memcpy(in->mem + at, &ns, sizeof(ns));
		raw[0].i64 = 0;
	}
	return NULL;
}

void bowline_clock_new(struct bowline_instance *in, const wasm_functype_t *type, wasmtime_extern_t *item)
{
	as_func(item);
	wasmtime_func_new_unchecked(in->context, type, clock_time, in, NULL, &item->of.func);
}

bool bowline_wasi_get(const wasmtime_linker_t *linker, struct bowline_instance *in, const char *name, size_t len,
	wasmtime_extern_t *item)
{
	static const char module[] = "wasi_snapshot_preview1";

	return wasmtime_linker_get(linker, in->context, module, sizeof(module) - 1, name, len, item);
}

int bowline_instantiate(struct bowline_instance *in, const wasmtime_module_t *module,
	const wasmtime_extern_t *imports, size_t n, wasmtime_instance_t *out)
{
	in->trap = NULL;
	in->error = wasmtime_instance_new(in->context, module, imports, n, out, &in->trap);
	return in->error || in->trap;
}

void bowline_find_memory(struct bowline_instance *in, const char *name, size_t len)
{
	wasmtime_extern_t item;

	if (wasmtime_instance_export_get(in->context, &in->instance, name, len, &item) &&
	    item.kind == WASMTIME_EXTERN_MEMORY) {
		in->memory = item.of.memory;
		in->has_memory = true;
		in->mem = wasmtime_memory_data(in->context, &in->memory);
		refresh(in);
	}
}

void bowline_find_table(struct bowline_instance *in, const char *name, size_t len)
{
	wasmtime_extern_t item;

	if (wasmtime_instance_export_get(in->context, &in->instance, name, len, &item) &&
	    item.kind == WASMTIME_EXTERN_TABLE) {
		wasm_tabletype_t *type = wasmtime_table_type(in->context, &item.of.table);

		in->table = item.of.table;
		in->has_table = wasm_valtype_kind(wasm_tabletype_element(type)) == WASM_FUNCREF;
		wasm_tabletype_delete(type);
	}
}

bool bowline_find_func(struct bowline_instance *in, const wasmtime_instance_t *instance, const char *name,
	size_t len, struct bowline_func *f)
{
	wasmtime_extern_t item;

	if (!wasmtime_instance_export_get(in->context, instance, name, len, &item) ||
	    item.kind != WASMTIME_EXTERN_FUNC)
		return false;
	f->store_id = item.of.func.store_id;
	f->ref = (uint64_t)(uintptr_t)item.of.func.__private;
	return true;
}

void bowline_memory_extern(struct bowline_instance *in, wasmtime_extern_t *item)
{
	memset(item, 0, sizeof(*item));
	item->kind = WASMTIME_EXTERN_MEMORY;
	item->of.memory = in->memory;
}

int bowline_table_func(struct bowline_instance *in, uint32_t index, struct bowline_func *f)
{
	wasmtime_val_t v;

	if (!wasmtime_table_get(in->context, &in->table, index, &v) ||
	    v.kind != WASMTIME_FUNCREF || v.of.funcref.store_id == 0)
		return 1;
	f->store_id = v.of.funcref.store_id;
	f->ref = (uint64_t)(uintptr_t)v.of.funcref.__private;
	return 0;
}

static wasmtime_func_t whole(const struct bowline_func *f)
{
	return (wasmtime_func_t){ .store_id = f->store_id, .__private = (void *)(uintptr_t)f->ref };
}

wasm_functype_t *bowline_func_type(struct bowline_instance *in, const struct bowline_func *f)
{
	wasmtime_func_t func = whole(f);

	return wasmtime_func_type(in->context, &func);
}

int bowline_call(struct bowline_instance *in, const struct bowline_func *f, uint64_t *stack)
{
	size_t n = f->nparams > f->nresults ? f->nparams : f->nresults;
	uint32_t nresults = f->nresults;
	uint64_t narrow = f->narrow_results;
	wasmtime_func_t func = whole(f);
	wasmtime_val_raw_t raw[n + 1];

	for (uint32_t i = 0; i < f->nparams; i++)
		raw[i].i64 = f->narrow_params >> i & 1 ? (uint32_t)stack[i] : stack[i];
	in->trap = NULL;
	in->crossings++;
	in->error = wasmtime_func_call_unchecked(in->context, &func, raw, n, &in->trap);
	refresh(in);
	if (in->error || in->trap)
		return 1;
	for (uint32_t i = 0; i < nresults; i++)
		stack[i] = narrow >> i & 1 ? (uint32_t)raw[i].i32 : (uint64_t)raw[i].i64;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_ebpf/bpf.h: BPF from a WebAssembly guest in a few lines, on top of wasi_ebpf/abi.h.
 *
 *	#include <stdio.h>
 *	#include <wasi_ebpf/bpf.h>
 *	BPF_EMBED(prog, "exec.bpf.o");
 *	int main(void)
 *	{
 *		bpf_obj o = bpf_load(prog, prog_len);
 *		if (bpf_err(o) || bpf_err(bpf_attach_all(o)))
 *			return bpf_perror("exec"), 1;
 *		bpf_events *ev = bpf_events_open(o, "rb");
 *		for (const struct exec_event *e; (e = bpf_next(ev, -1)); )
 *			printf("%u %s\n", e->pid, e->comm);
 *	}
 *
 * Header-only; needs a C library (stdio, stdlib, string) and wasm32. C99 or C++11. What can fail
 * answers a negative number, -EBPF_E..., and else a handle, a count or 0; bpf_err tells them apart
 * and bpf_perror prints the text behind the last error. The numbers are those of <errno.h> in
 * wasi-libc, so strerror(bpf_err(r)) works, too. What a guest has not closed is closed when it ends.
 */
#ifndef WASI_EBPF_BPF_H
#define WASI_EBPF_BPF_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Objects of this instance, or negative errors. All are closed with bpf_close. */
typedef ebpf_object bpf_obj;
typedef ebpf_map bpf_map;
typedef ebpf_program bpf_prog;
typedef ebpf_link bpf_link;

/*
 * BPF_EMBED(prog, "prog.bpf.o"); at file scope puts the bytes of a file (looked up from the
 * directory that the compiler runs in) into the guest's data and declares
 *   unsigned char prog[]   the bytes
 *   uint32_t prog_len      how many
 */
#if defined(__wasm__) && !defined(BPF_EMBED)
#ifdef __cplusplus
#define BPF_I_EXTERN extern "C"
#else
#define BPF_I_EXTERN extern
#endif
#define BPF_EMBED(name, file)						\
	__asm__(".section .data." #name ",\"\",@\n"			\
		".hidden " #name "\n"					\
		".globl " #name "\n"					\
		".p2align 4\n"						\
		".type " #name ",@object\n"				\
		#name ":\n"						\
		".incbin \"" file "\"\n"				\
		".L" #name "_end:\n"					\
		".size " #name ", .L" #name "_end-" #name "\n"		\
		".section .rodata." #name "_len,\"\",@\n"		\
		".hidden " #name "_len\n"				\
		".globl " #name "_len\n"				\
		".p2align 2\n"						\
		".type " #name "_len,@object\n"				\
		#name "_len:\n"						\
		".int32 .L" #name "_end-" #name "\n"			\
		".size " #name "_len, 4\n"				\
		".text\n");						\
	BPF_I_EXTERN unsigned char name[];				\
	BPF_I_EXTERN const uint32_t name##_len
#endif

/*
 * BPF_MANIFEST("manifest.yaml"); once, at file scope, puts a file (looked up as for BPF_EMBED) into the custom section
 * bowline.manifest: what the plugin asks for, and why. For other languages "bowline manifest add" does the same. Check it with
 * "bowline manifest check"; the compiler does not look at it.
 */
#if defined(__wasm__) && !defined(BPF_MANIFEST)
#define BPF_MANIFEST(file)						\
	__asm__(".section .custom_section.bowline.manifest,\"\",@\n"	\
		".incbin \"" file "\"\n"					\
		".text\n");						\
	struct bpf_i_manifest
#endif

/* Internal: the result of a call as this header gives it. */
static inline int32_t bpf_i_result(ebpf_errno err, int32_t value) { return err ? -err : value; }

/* Internal: the length of a string that may be NULL. */
static inline uint32_t bpf_i_len(const char *s) { return s ? (uint32_t)strlen(s) : 0; }

/* Internal: a span of guest memory. */
static inline struct ebpf_span bpf_i_span(const void *p, uint32_t len)
{
	struct ebpf_span s;

	s.ptr = (uint32_t)(uintptr_t)p;
	s.len = len;
	return s;
}

/* ---- Errors ---- */

/* Returns 0 if a result is no error, else its number EBPF_E..., which is also errno's. */
static inline int32_t bpf_err(int64_t result) { return result < 0 ? (int32_t)-result : 0; }

/*
 * Copies the host's text behind the last error to buf, cut to size - 1 bytes and ended by a NUL.
 * Returns buf. It has the verifier's log, the missing grant, privilege or kernel feature.
 */
static inline char *bpf_error_text(char *buf, uint32_t size)
{
	uint32_t len = 0;

	if (!size)
		return buf;
	if (ebpf_last_error(buf, size - 1, &len))
		len = 0;
	buf[len < size ? len : size - 1] = 0;
	return buf;
}

/* What went wrong in these headers themselves, and not in the host. NULL is nothing. */
static inline const char **bpf_i_own_error(void)
{
	static const char *text;

	return &text;
}

/* Allocates zeroed memory, and remembers for bpf_perror that there was none. */
static inline void *bpf_i_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		*bpf_i_own_error() = "out of memory (see bowline run --memory)";
	return p;
}

/* Prints a line on standard error: what, a colon, and the whole text behind the last error. */
static inline void bpf_perror(const char *what)
{
	uint32_t len = 0;
	char *text = NULL;

	if (*bpf_i_own_error()) {
		fprintf(stderr, "%s: %s\n", what, *bpf_i_own_error());
		*bpf_i_own_error() = NULL;
		return;
	}
	if (!ebpf_last_error(NULL, 0, &len) && len)
		text = (char *)malloc((size_t)len + 1);
	fprintf(stderr, "%s: %s\n", what, text ? bpf_error_text(text, len + 1) : "error without a text");
	free(text);
}

/* Checks that the host offers version 1.minor of the contract. Returns 0 or -EBPF_ENOTSUP. */
static inline int32_t bpf_need_version(uint32_t minor)
{
	uint32_t v = 0;
	ebpf_errno err = ebpf_version(&v);

	if (err)
		return -err;
	return v >> 16 == EBPF_VERSION_MAJOR && (v & 0xffff) >= minor ? 0 : -EBPF_ENOTSUP;
}

/* ---- Handles ---- */

/* Gives a handle up. Negative ones, which are errors, are left alone. Returns 0 or an error. */
static inline int32_t bpf_close(ebpf_handle h) { return h < 0 ? 0 : -ebpf_close(h); }

/* Gives a map or a loaded object a name for other instances. Returns 0 or an error. */
static inline int32_t bpf_share(ebpf_handle h, const char *name)
{
	return -ebpf_share(h, name, bpf_i_len(name));
}

/* Opens what was shared under a name; kind is EBPF_KIND_MAP or EBPF_KIND_OBJECT. */
static inline ebpf_handle bpf_open_shared(const char *name, uint32_t kind)
{
	ebpf_handle h = 0;

	return bpf_i_result(ebpf_open_shared(name, bpf_i_len(name), kind, &h), h);
}

/* Keeps a map, program or link in the kernel under a name, until bpf_unpin. */
static inline int32_t bpf_pin(ebpf_handle h, const char *name)
{
	return -ebpf_pin(h, name, bpf_i_len(name));
}

/* Opens what was pinned under a name; kind is EBPF_KIND_MAP, _PROGRAM or _LINK. */
static inline ebpf_handle bpf_open_pinned(const char *name, uint32_t kind)
{
	ebpf_handle h = 0;

	return bpf_i_result(ebpf_open_pinned(name, bpf_i_len(name), kind, &h), h);
}

/* Removes a pin. Returns 0 or an error. */
static inline int32_t bpf_unpin(const char *name) { return -ebpf_unpin(name, bpf_i_len(name)); }

/* ---- Objects ---- */

/* Reads a BPF object; bpf_load_opened loads it, after its variables and maps are set. */
static inline bpf_obj bpf_open(const void *elf, uint32_t len)
{
	ebpf_object o = 0;

	return bpf_i_result(ebpf_object_open(elf, len, &o), o);
}

/* Creates the maps and loads the programs of an opened object; flags are EBPF_LOAD_*. */
static inline int32_t bpf_load_opened(bpf_obj o, uint32_t flags)
{
	return -ebpf_object_load(o, flags);
}

/* Opens and loads a BPF object. Returns it, or a negative error. */
static inline bpf_obj bpf_load(const void *elf, uint32_t len)
{
	bpf_obj o = bpf_open(elf, len);
	int32_t err = bpf_err(o) ? 0 : bpf_load_opened(o, 0);

	/* Closing an object that is not loaded does not fail, so the text of the error stays. */
	if (err)
		bpf_close(o);
	return err ? err : o;
}

/*
 * Sets a global variable of size bytes: before the load its first value (the only time for a const
 * volatile one), after it the running value. bpf_set_u8 to bpf_set_u64 do it for numbers.
 */
static inline int32_t bpf_set(bpf_obj o, const char *name, const void *value, uint32_t size)
{
	return -ebpf_object_set_variable(o, name, bpf_i_len(name), value, size);
}

/* Sets a global variable of one byte, such as a bool. */
static inline int32_t bpf_set_u8(bpf_obj o, const char *name, uint8_t v) { return bpf_set(o, name, &v, 1); }

/* Sets a global variable of two bytes. */
static inline int32_t bpf_set_u16(bpf_obj o, const char *name, uint16_t v) { return bpf_set(o, name, &v, 2); }

/* Sets a global variable of four bytes. */
static inline int32_t bpf_set_u32(bpf_obj o, const char *name, uint32_t v) { return bpf_set(o, name, &v, 4); }

/* Sets a global variable of eight bytes. */
static inline int32_t bpf_set_u64(bpf_obj o, const char *name, uint64_t v) { return bpf_set(o, name, &v, 8); }

/* Copies a global variable that has exactly size bytes. Returns 0 or an error. */
static inline int32_t bpf_get(bpf_obj o, const char *name, void *value, uint32_t size)
{
	uint32_t len = 0;
	ebpf_errno err = ebpf_object_get_variable(o, name, bpf_i_len(name), value, size, &len);

	return err ? -err : len == size ? 0 : -EBPF_EINVAL;
}

/* Changes a map before the load; field is EBPF_MAP_FIELD_*. */
static inline int32_t bpf_set_map(bpf_obj o, const char *map, uint32_t field, uint64_t value)
{
	return -ebpf_object_set_map(o, map, bpf_i_len(map), field, value);
}

/* Lets the object use a map that exists in place of its own of that name. Before the load. */
static inline int32_t bpf_replace_map(bpf_obj o, const char *name, bpf_map map)
{
	return -ebpf_object_replace_map(o, name, bpf_i_len(name), map);
}

/* Says whether a program is loaded with the object. Before the load. */
static inline int32_t bpf_set_autoload(bpf_obj o, const char *program, int load)
{
	return -ebpf_object_set_autoload(o, program, bpf_i_len(program), load ? 1 : 0);
}

/* Sets what a program is attached to at load, such as the function of fentry. Before the load. */
static inline int32_t bpf_set_attach_target(bpf_obj o, const char *program, const char *symbol)
{
	return -ebpf_object_set_attach_target(o, program, bpf_i_len(program), symbol, bpf_i_len(symbol), 0);
}

/* Finds a map of a loaded object. The caller closes the handle. */
static inline bpf_map bpf_find_map(bpf_obj o, const char *name)
{
	ebpf_map m = 0;

	return bpf_i_result(ebpf_object_map(o, name, bpf_i_len(name), &m), m);
}

/* Finds a program of a loaded object by the name of its C function. The caller closes the handle. */
static inline bpf_prog bpf_find_prog(bpf_obj o, const char *name)
{
	ebpf_program p = 0;

	return bpf_i_result(ebpf_object_program(o, name, bpf_i_len(name), &p), p);
}

/* ---- Attaching ---- */

/* Where to attach: what the section of the program says. */
static inline struct ebpf_target bpf_at_section(void)
{
	struct ebpf_target t;

	memset(&t, 0, sizeof t);
	return t;
}

/*
 * Where to attach: an interface (xdp, tcx, tc, netkit), a cgroup (cgroup hooks, sockops), a network
 * namespace (sk_lookup, flow_dissector) or a device (lirc), by its own name or one the host gives.
 */
static inline struct ebpf_target bpf_at(const char *name)
{
	struct ebpf_target t = bpf_at_section();

	t.name = bpf_i_span(name, bpf_i_len(name));
	return t;
}

/* Where to attach: an interface in one way of XDP, EBPF_XDP_*. */
static inline struct ebpf_target bpf_at_xdp(const char *interface_name, uint32_t mode)
{
	struct ebpf_target t = bpf_at(interface_name);

	t.mode = mode;
	return t;
}

/* Where to attach: an interface in one direction, EBPF_DIRECTION_* (tcx, tc), or a cgroup (skb). */
static inline struct ebpf_target bpf_at_direction(const char *name, uint32_t direction)
{
	struct ebpf_target t = bpf_at(name);

	t.direction = direction;
	return t;
}

/* Where to attach: a kernel function (kprobe), a pattern (kprobe.multi), a tracepoint. */
static inline struct ebpf_target bpf_at_symbol(const char *symbol)
{
	struct ebpf_target t = bpf_at_section();

	t.symbol = bpf_i_span(symbol, bpf_i_len(symbol));
	return t;
}

/* Where to attach: a function (uprobe) or "provider:name" (usdt) of a file; pid 0 is all processes. */
static inline struct ebpf_target bpf_at_user(const char *path, const char *symbol, int32_t pid)
{
	struct ebpf_target t = bpf_at(path);

	t.symbol = bpf_i_span(symbol, bpf_i_len(symbol));
	t.pid = pid;
	return t;
}

/* Where to attach: a map (sk_msg, sk_skb, iter over a map's entries, struct_ops). */
static inline struct ebpf_target bpf_at_map(bpf_map map)
{
	struct ebpf_target t = bpf_at_section();

	t.map = map;
	return t;
}

/* Where to attach: a socket (socket, sk_reuseport). */
static inline struct ebpf_target bpf_at_socket(ebpf_socket socket)
{
	struct ebpf_target t = bpf_at_section();

	t.socket = socket;
	return t;
}

/* Where to attach: the CPU clock, so many samples a second; pid 0 is all processes (perf_event). */
static inline struct ebpf_target bpf_at_samples(uint64_t per_second, int32_t pid)
{
	struct ebpf_target t = bpf_at_section();

	t.frequency = per_second;
	t.pid = pid;
	return t;
}

/* Where to attach: a netfilter chain; EBPF_FAMILY_*, EBPF_CHAIN_*, lower priorities run earlier. */
static inline struct ebpf_target bpf_at_netfilter(uint32_t family, uint32_t chain, int32_t priority)
{
	struct ebpf_target t = bpf_at_section();

	t.family = family;
	t.chain = chain + 1;
	t.priority = priority;
	return t;
}

/* Attaches a program. Returns the link, which detaches when it is closed, or an error. */
static inline bpf_link bpf_attach_prog(bpf_prog p, struct ebpf_target at)
{
	ebpf_link l = 0;

	return bpf_i_result(ebpf_link_attach(p, &at, sizeof at, &l), l);
}

/* Attaches a program of an object by name: bpf_attach(o, "count", bpf_at("eth0")). */
static inline bpf_link bpf_attach(bpf_obj o, const char *program, struct ebpf_target at)
{
	bpf_prog p = bpf_find_prog(o, program);
	bpf_link l = bpf_err(p) ? p : bpf_attach_prog(p, at);

	if (!bpf_err(p))
		bpf_close(p);
	return l;
}

/* Internal: whether programs of a section are attached to nothing, but run or called by others. */
static inline int bpf_i_unattached(const char *section)
{
	return !strncmp(section, "syscall", 7) || !strncmp(section, "lwt_", 4) ||
	       (!strncmp(section, "xdp", 3) && (strstr(section, "/devmap") || strstr(section, "/cpumap")));
}

/*
 * Attaches every loaded program of an object where its section says; fails at the first that needs a
 * target (attach that with bpf_attach). Left out are programs that nothing attaches: syscall, lwt,
 * xdp/devmap, xdp/cpumap, and of struct_ops all but the first. The links stay until the object is
 * closed, also when a later one fails. Returns how many there are, or an error.
 */
static inline int32_t bpf_attach_all(bpf_obj o)
{
	union {
		struct ebpf_item item;
		char bytes[sizeof(struct ebpf_item) + 512];
	} u;
	char name[256], *section = u.bytes + sizeof u.item;
	uint32_t i, len = 0, room = sizeof u.bytes - sizeof u.item - 1;
	int32_t count = 0, struct_ops = 0;
	ebpf_errno err;
	bpf_link l;
	bpf_prog p;

	for (i = 0; !(err = ebpf_object_item(o, EBPF_ITEM_PROGRAM, i, &u, sizeof u - 1, &len)); i++) {
		if (u.item.name_len >= sizeof name || u.item.section_len > room - u.item.name_len)
			return -EBPF_ENAMETOOLONG;
		memcpy(name, section, u.item.name_len);
		name[u.item.name_len] = 0;
		memmove(section, section + u.item.name_len, u.item.section_len);
		section[u.item.section_len] = 0;
		if (bpf_i_unattached(section) || (!strncmp(section, "struct_ops", 10) && struct_ops++))
			continue;
		p = bpf_find_prog(o, name);
		if (p == -EBPF_ENOENT) /* it was not loaded */
			continue;
		l = bpf_err(p) ? p : bpf_attach_prog(p, bpf_at_section());
		if (!bpf_err(p))
			bpf_close(p);
		if (bpf_err(l))
			return l;
		count++;
	}
	return err == EBPF_ENOENT ? count : -err;
}

/* Puts another program of the same type in the place of the attached one, without a gap. */
static inline int32_t bpf_replace(bpf_link l, bpf_prog p) { return -ebpf_link_update(l, p, 0); }

/* Detaches, also if the link is pinned, and closes the handle. Returns 0 or an error. */
static inline int32_t bpf_detach(bpf_link l)
{
	ebpf_errno err = ebpf_link_detach(l);

	return err ? -err : bpf_close(l);
}

/* Starts one run of an iterator link. The caller closes it. */
static inline ebpf_iter bpf_iter_open(bpf_link l)
{
	ebpf_iter it = 0;

	return bpf_i_result(ebpf_iter_open(l, &it), it);
}

/* Reads the next output of an iterator. Returns the number of bytes, 0 at the end, or an error. */
static inline int32_t bpf_iter_read(ebpf_iter it, void *buf, uint32_t size)
{
	uint32_t n = 0;

	return bpf_i_result(ebpf_iter_read(it, buf, size, &n), (int32_t)n);
}

/* ---- Programs ---- */

/*
 * Loads a program that the guest has made: count instructions of 8 bytes. The section says type and
 * hook, as in an object ("xdp", "tracepoint/sched/sched_process_exec").
 */
static inline bpf_prog bpf_make_prog(const char *name, const char *section, const char *license,
				     const void *insns, uint32_t count)
{
	struct ebpf_program_options opts;
	ebpf_program p = 0;

	memset(&opts, 0, sizeof opts);
	opts.name = bpf_i_span(name, bpf_i_len(name));
	opts.section = bpf_i_span(section, bpf_i_len(section));
	opts.license = bpf_i_span(license, bpf_i_len(license));
	opts.insns = bpf_i_span(insns, count * 8);
	return bpf_i_result(ebpf_program_load(&opts, sizeof opts, &p), p);
}

/*
 * Runs a program on a packet without attaching it; out may be NULL with size 0 when the packet
 * afterwards is not wanted. Returns what the program returned, or an error; *ns, if not
 * NULL, receives the mean time of a run.
 */
static inline int64_t bpf_test_run(bpf_prog p, const void *in, uint32_t in_len, void *out,
				   uint32_t out_size, uint32_t repeat, uint64_t *ns)
{
	struct ebpf_test_run run;
	ebpf_errno err;

	memset(&run, 0, sizeof run);
	run.data_in = bpf_i_span(in, in_len);
	run.data_out = bpf_i_span(out, out_size);
	run.repeat = repeat;
	err = ebpf_program_test_run(p, &run, sizeof run);
	if (ns)
		*ns = run.duration;
	return err ? -(int64_t)err : (int64_t)run.return_value;
}

#ifdef __cplusplus
}
#endif

#include "bpf_map.h"
#include "bpf_events.h"
#include "bpf_kernel.h"

#endif

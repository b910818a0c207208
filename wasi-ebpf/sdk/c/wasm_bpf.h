/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasm_bpf.h: BPF from a WebAssembly guest, through the import module "wasm_bpf".
 *
 * Part one is the interface itself: six functions that the host provides, declared under their own
 * names. Part two makes them comfortable: an object embedded in the guest, constants set before
 * load, calls that say what went wrong, a loop over events. Everything is inline; there is nothing
 * to link. C99 and C++11, clang, wasm32.
 *
 * Link with -Wl,--export-table: the host calls back through __indirect_function_table.
 *
 * Errors are negative Linux error numbers, which are NOT those of <errno.h> in WASI (there EINTR
 * is 27): compare with the WASM_BPF_E* constants below. The host says on its standard error why
 * something could not be loaded or attached (the verifier's log, a missing kernel feature).
 */
#ifndef WASM_BPF_H
#define WASM_BPF_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WASM_BPF_IMPORT(name) \
	__attribute__((__import_module__("wasm_bpf"), __import_name__(#name))) name

/* Error numbers of Linux, to be compared with the negated result. */
enum {
	WASM_BPF_EPERM = 1,
	WASM_BPF_ENOENT = 2,
	WASM_BPF_EINTR = 4,	/* the host is stopping this guest: return from main */
	WASM_BPF_E2BIG = 7,
	WASM_BPF_ENOMEM = 12,
	WASM_BPF_EEXIST = 17,
	WASM_BPF_EINVAL = 22,
	WASM_BPF_ENOSPC = 28,
	WASM_BPF_ERANGE = 34,
	WASM_BPF_EBADFD = 77,
	WASM_BPF_EOPNOTSUPP = 95,
	WASM_BPF_ECANCELED = 125
};

/* ---- Part one: the interface ---- */

/* An object that is loaded in the kernel; 0 is none. */
typedef uint64_t wasm_bpf_object;

/*
 * Gets one record. data is valid until it returns. A negative result ends the drain and is what
 * the poll returns (some older hosts ignore it: wasm_bpf_poll_loop works with all).
 */
typedef int32_t (*wasm_bpf_record_fn)(void *ctx, void *data, int32_t size);

/* Loads the BPF ELF object of size bytes: all its maps and programs. Returns 0 on failure. */
extern wasm_bpf_object WASM_BPF_IMPORT(wasm_load_bpf_object)(const void *elf, int32_t size);

/* Detaches and unloads all of the object. Returns 0 also if it was closed before. */
extern int32_t WASM_BPF_IMPORT(wasm_close_bpf_object)(wasm_bpf_object obj);

/*
 * Attaches one program. A target of NULL or "" means what the program's section says. Else:
 *   xdp                       "eth0", "eth0:native", "eth0:generic", "eth0:offload"
 *   tc, tcx, netkit           "eth0", "eth0:ingress", "eth0:egress"
 *   cgroup hooks, sockops     "/sys/fs/cgroup/web", "web" (below the root of cgroup v2), "." (the
 *                             root); cgroup/skb also "web:egress"
 *   uprobe, uretprobe         "/bin/bash:readline", "libc.so.6:malloc+0x10", "/bin/x:0x1234"; with
 *                             "@4711" at the end only process 4711; uprobe.multi "libc.so.6:mem*"
 *   usdt                      "libc.so.6:libc:setjmp", "libc.so.6:libc:setjmp@4711"
 *   kprobe, kretprobe, ...    "do_unlinkat", "vfs_read+0x10"; ksyscall "openat"; kprobe.multi "tcp_*"
 *   tracepoint                "sched/sched_process_exec"; raw_tracepoint "sched_switch"
 *   sk_msg, sk_skb, iter,     the name of a map of the same object
 *   struct_ops
 *   sk_lookup, flow_dissector a network namespace: its name for "ip netns", or a path
 *   netfilter                 "ipv4", "ipv6:forward", "ipv4:input:-100"
 *   perf_event                "99" (samples per second), "99@4711"
 *   lirc                      "/dev/lirc0"
 * tp_btf, fentry, fexit, fmod_ret, lsm and freplace take none: the section decides, at load.
 * Returns 0 or a negative error number. The attachment lives until the object is closed or the
 * guest ends.
 */
extern int32_t WASM_BPF_IMPORT(wasm_attach_bpf_program)(wasm_bpf_object obj, const char *program,
							 const char *target);

/* Returns a handle of a map of this object, or a negative error number. Nobody closes it. */
extern int32_t WASM_BPF_IMPORT(wasm_bpf_map_fd_by_name)(wasm_bpf_object obj, const char *map);

/*
 * Waits up to timeout_ms (negative: no limit) for records of a ring buffer or perf buffer, then
 * copies every pending one to buf (size bytes; it must hold the largest record) and hands it to fn.
 * Returns the number of records, 0 after the time-out, or a negative error number:
 * -WASM_BPF_EINTR if the host is stopping the guest.
 */
extern int32_t WASM_BPF_IMPORT(wasm_bpf_buffer_poll)(wasm_bpf_object obj, int32_t map_fd,
						      wasm_bpf_record_fn fn, void *ctx, void *buf,
						      int32_t size, int32_t timeout_ms);

/*
 * One operation on a map; cmd is one of the enum. The host takes the sizes of key and value from
 * the map, so the pointers must lead to enough bytes. flags are the kernel's: 0, 1 (update only if
 * there is no such key), 2 (update only if there is), 4 (lock the value).
 *
 * A per-CPU map has a value for each CPU. One of them moves at a time: look up one CPU's value with
 * flags (uint64_t)cpu << 32 | WASM_BPF_F_CPU, which gives -WASM_BPF_ERANGE after the last possible
 * CPU, and set those of all CPUs to one value with flags WASM_BPF_F_ALL_CPUS. Other flags give
 * -WASM_BPF_EOPNOTSUPP. (Some older hosts ignore these flags and move the values of all CPUs, each
 * padded to 8 bytes, whatever the guest has room for.)
 *
 * Returns 0 or a negative error number.
 */
extern int32_t WASM_BPF_IMPORT(wasm_bpf_map_operate)(int32_t map_fd, int32_t cmd, void *key,
						      void *value, void *next_key, uint64_t flags);

enum {
	WASM_BPF_MAP_LOOKUP = 1,
	WASM_BPF_MAP_UPDATE = 2,
	WASM_BPF_MAP_DELETE = 3,
	WASM_BPF_MAP_GET_NEXT_KEY = 4
};

/* Flags for per-CPU maps, with the numbers of Linux 6.19; every kernel will do. */
enum {
	WASM_BPF_F_CPU = 8,	/* lookup: of the CPU whose number is in the upper 32 bits */
	WASM_BPF_F_ALL_CPUS = 16	/* update: of all CPUs */
};

/* ---- Part two: comfort ---- */

/*
 * BPF_EMBED(prog, "prog.bpf.o"); at file scope puts the bytes of a file (looked up from the
 * directory that the compiler runs in) into the guest's data and declares
 *   unsigned char prog[]   the bytes, writable: wasm_bpf_set_const edits them
 *   uint32_t prog_len      how many
 */
#ifdef __cplusplus
#define WASM_BPF_EXTERN extern "C"
#else
#define WASM_BPF_EXTERN extern
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
	WASM_BPF_EXTERN unsigned char name[];				\
	WASM_BPF_EXTERN const uint32_t name##_len

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

/* Says in words what a result (negative error number) of this interface means. */
static inline const char *wasm_bpf_strerror(int32_t result)
{
	switch (-result) {
	case WASM_BPF_EPERM: return "not permitted";
	case WASM_BPF_ENOENT: return "not found";
	case WASM_BPF_EINTR: return "interrupted";
	case WASM_BPF_E2BIG: return "too big";
	case WASM_BPF_ENOMEM: return "out of memory";
	case WASM_BPF_EEXIST: return "exists already";
	case WASM_BPF_EINVAL: return "invalid argument or no such name";
	case WASM_BPF_ENOSPC: return "no space";
	case WASM_BPF_ERANGE: return "out of range";
	case WASM_BPF_EBADFD: return "not a map of this guest";
	case WASM_BPF_EOPNOTSUPP: return "not supported";
	}
	return "refused by the kernel";
}

/* Loads an embedded object. Prints a line and returns 0 if it cannot. */
static inline wasm_bpf_object wasm_bpf_load(const void *elf, uint32_t len)
{
	wasm_bpf_object obj = wasm_load_bpf_object(elf, (int32_t)len);

	if (!obj)
		fprintf(stderr, "cannot load the BPF object\n");
	return obj;
}

/* Attaches one program (target as above). Prints a line if it cannot. Returns 0 or negative. */
static inline int32_t wasm_bpf_attach(wasm_bpf_object obj, const char *program, const char *target)
{
	int32_t err = wasm_attach_bpf_program(obj, program, target);

	if (err < 0)
		fprintf(stderr, "cannot attach program %s%s%s: %s (error %d)\n", program,
			target && *target ? " to " : "", target ? target : "",
			wasm_bpf_strerror(err), (int)-err);
	return err < 0 ? err : 0;
}

/* Finds a map. Prints a line if it cannot. Returns its handle or a negative error number. */
static inline int32_t wasm_bpf_map(wasm_bpf_object obj, const char *map)
{
	int32_t fd = wasm_bpf_map_fd_by_name(obj, map);

	if (fd < 0)
		fprintf(stderr, "no map %s in the BPF object (error %d)\n", map, (int)-fd);
	return fd;
}

/* Reads the value of *key. Returns 0, or -WASM_BPF_ENOENT if there is none, or another error. */
static inline int32_t wasm_bpf_lookup(int32_t map_fd, const void *key, void *value)
{
	return wasm_bpf_map_operate(map_fd, WASM_BPF_MAP_LOOKUP, (void *)(uintptr_t)key, value, NULL, 0);
}

/* Writes the value of *key. Returns 0 or a negative error number. */
static inline int32_t wasm_bpf_update(int32_t map_fd, const void *key, const void *value)
{
	return wasm_bpf_map_operate(map_fd, WASM_BPF_MAP_UPDATE, (void *)(uintptr_t)key,
				    (void *)(uintptr_t)value, NULL, 0);
}

/* Deletes *key. Returns 0, or -WASM_BPF_ENOENT if there is none, or another error. */
static inline int32_t wasm_bpf_delete(int32_t map_fd, const void *key)
{
	return wasm_bpf_map_operate(map_fd, WASM_BPF_MAP_DELETE, (void *)(uintptr_t)key, NULL, NULL, 0);
}

/*
 * Writes the key that follows *key (NULL: the first) to *next. Returns 0, or -WASM_BPF_ENOENT
 * after the last, or another error.
 */
static inline int32_t wasm_bpf_next_key(int32_t map_fd, const void *key, void *next)
{
	return wasm_bpf_map_operate(map_fd, WASM_BPF_MAP_GET_NEXT_KEY, (void *)(uintptr_t)key, NULL, next, 0);
}

/*
 * Reads one CPU's value of *key in a per-CPU map. Returns 0, or -WASM_BPF_ERANGE if there are not so
 * many CPUs, -WASM_BPF_ENOENT if there is no such key, or another error. To see all of them:
 *   for (cpu = 0; !(err = wasm_bpf_lookup_cpu(fd, &key, cpu, &value)); cpu++)
 */
static inline int32_t wasm_bpf_lookup_cpu(int32_t map_fd, const void *key, uint32_t cpu, void *value)
{
	return wasm_bpf_map_operate(map_fd, WASM_BPF_MAP_LOOKUP, (void *)(uintptr_t)key, value, NULL,
				    (uint64_t)cpu << 32 | WASM_BPF_F_CPU);
}

/* Writes the same value of *key for every CPU in a per-CPU map. Returns 0 or a negative error number. */
static inline int32_t wasm_bpf_update_cpus(int32_t map_fd, const void *key, const void *value)
{
	return wasm_bpf_map_operate(map_fd, WASM_BPF_MAP_UPDATE, (void *)(uintptr_t)key,
				    (void *)(uintptr_t)value, NULL, WASM_BPF_F_ALL_CPUS);
}

/* What a record function returns to end wasm_bpf_poll_loop without an error. */
#define WASM_BPF_DONE (-WASM_BPF_ECANCELED)

/* What wasm_bpf_poll_loop works with. Zero what is not needed. */
struct wasm_bpf_loop {
	wasm_bpf_object obj;
	int32_t map_fd;		/* ring buffer or perf buffer */
	wasm_bpf_record_fn record;	/* called for each record; negative ends the loop */
	int32_t (*batch)(void *ctx);	/* called after each poll: flush output; negative ends the loop */
	void *ctx;		/* given to both */
	void *buf;		/* must hold the largest record; 8-aligned */
	int32_t size;		/* bytes in buf */
	int32_t timeout_ms;	/* at least one batch call per so many ms; negative: only after records */
	int32_t result;		/* internal: what ended the loop */
};

static inline int32_t wasm_bpf_loop_record(void *ctx, void *data, int32_t size)
{
	struct wasm_bpf_loop *l = (struct wasm_bpf_loop *)ctx;

	/* Hosts that ignore the result go on with the batch: what comes after the end is dropped. */
	if (l->result >= 0)
		l->result = l->record(l->ctx, data, size);
	return l->result < 0 ? l->result : 0;
}

/*
 * Hands records to l->record until a function returns a negative number or the host stops the
 * guest. Returns 0 if that number is WASM_BPF_DONE or the host stops the guest, else the number.
 */
static inline int32_t wasm_bpf_poll_loop(struct wasm_bpf_loop *l)
{
	int32_t n;

	l->result = 0;
	while (l->result >= 0) {
		n = wasm_bpf_buffer_poll(l->obj, l->map_fd, wasm_bpf_loop_record, l, l->buf, l->size,
					 l->timeout_ms);
		if (n < 0 && l->result >= 0)
			l->result = n;
		n = l->batch ? l->batch(l->ctx) : 0;
		if (n < 0 && l->result >= 0)
			l->result = n;
	}
	if (l->result == WASM_BPF_DONE || l->result == -WASM_BPF_EINTR)
		return 0;
	return l->result;
}

/* Little-endian number of n bytes at p. */
static inline uint64_t wasm_bpf_le(const unsigned char *p, int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/*
 * Sets a global variable of an embedded object before it is loaded, such as
 * `const volatile uint32_t target_pid;`: finds its symbol in the ELF bytes and edits its section.
 * size must be the variable's. A variable without an initial value lies in .bss, which has no
 * bytes: declare it const. Returns 0, -WASM_BPF_ENOENT if there is no such variable, or
 * -WASM_BPF_EINVAL if the size differs or the bytes are not an ELF object for BPF.
 */
static inline int32_t wasm_bpf_set_const(unsigned char *elf, uint32_t len, const char *name,
					 const void *value, uint32_t size)
{
	uint64_t shoff, off, n, str, strsz, shnum, i, j;
	const unsigned char *sh, *strsh, *sym, *data;
	size_t name_size = strlen(name) + 1;

	if (len < 64 || memcmp(elf, "\177ELF\2\1", 6))
		return -WASM_BPF_EINVAL;
	shoff = wasm_bpf_le(elf + 40, 8);
	shnum = wasm_bpf_le(elf + 60, 2);
	if (shoff > len || shnum * 64 > len - shoff)
		return -WASM_BPF_EINVAL;
	for (i = 0; i < shnum; i++) {
		sh = elf + shoff + i * 64;
		if (wasm_bpf_le(sh + 4, 4) != 2 || wasm_bpf_le(sh + 40, 4) >= shnum) /* SHT_SYMTAB */
			continue;
		strsh = elf + shoff + wasm_bpf_le(sh + 40, 4) * 64;
		off = wasm_bpf_le(sh + 24, 8);
		n = wasm_bpf_le(sh + 32, 8);
		str = wasm_bpf_le(strsh + 24, 8);
		strsz = wasm_bpf_le(strsh + 32, 8);
		if (off > len || n > len - off || str > len || strsz > len - str)
			return -WASM_BPF_EINVAL;
		for (j = 0; j + 24 <= n; j += 24) {
			sym = elf + off + j;
			if (wasm_bpf_le(sym, 4) + name_size > strsz ||
			    memcmp(elf + str + wasm_bpf_le(sym, 4), name, name_size) ||
			    wasm_bpf_le(sym + 6, 2) >= shnum)
				continue;
			data = elf + shoff + wasm_bpf_le(sym + 6, 2) * 64;
			off = wasm_bpf_le(data + 24, 8) + wasm_bpf_le(sym + 8, 8);
			if (wasm_bpf_le(data + 4, 4) != 1 || wasm_bpf_le(sym + 16, 8) != size || /* SHT_PROGBITS */
			    off > len || size > len - off)
				return -WASM_BPF_EINVAL;
			memcpy(elf + off, value, size);
			return 0;
		}
	}
	return -WASM_BPF_ENOENT;
}

#ifdef __cplusplus
}
#endif

#endif

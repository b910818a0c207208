/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wasi_ebpf/bpf_kernel.h: questions about the kernel, for wasi_ebpf/bpf.h, which includes it.
 */
#ifndef WASI_EBPF_BPF_KERNEL_H
#define WASI_EBPF_BPF_KERNEL_H

#include "bpf.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Asks whether the kernel has something; what is EBPF_PROBE_*, the name "xdp", "ringbuf",
 * "xdp:bpf_fib_lookup" or "kprobe.multi". Returns 1, 0, or an error.
 */
static inline int32_t bpf_has(uint32_t what, const char *name)
{
	ebpf_errno err = ebpf_kernel_probe(what, name, bpf_i_len(name));

	return err == EBPF_ENOTSUP ? 0 : err ? -err : 1;
}

/* Returns the number of possible CPUs: the values of an entry of a per-CPU map. Or an error. */
static inline int32_t bpf_cpus(void)
{
	struct ebpf_kernel_info info;

	return bpf_i_result(ebpf_kernel_info(&info, sizeof info), (int32_t)info.cpus);
}

/* Reads a clock that BPF programs have, EBPF_CLOCK_*. Returns ns, or a negative error. */
static inline int64_t bpf_clock(uint32_t clock)
{
	uint64_t ns = 0;
	ebpf_errno err = ebpf_kernel_clock(clock, &ns);

	return err ? -(int64_t)err : (int64_t)ns;
}

/* Internal: ends a text of the host with a NUL. */
static inline int32_t bpf_i_text(ebpf_errno err, char *buf, uint32_t size, uint32_t len)
{
	if (size)
		buf[err ? 0 : len < size ? len : size - 1] = 0;
	return bpf_i_result(err, (int32_t)len);
}

/*
 * Writes the name of the kernel symbol that an address lies in, cut to size - 1 bytes and ended by a
 * NUL; *offset, if not NULL, receives the distance from its start. Returns the length of the whole
 * name, or an error.
 */
static inline int32_t bpf_symbolize(uint64_t address, char *buf, uint32_t size, uint64_t *offset)
{
	uint32_t len = 0;
	uint64_t off = 0;
	ebpf_errno err = ebpf_kernel_symbolize(address, buf, size ? size - 1 : 0, &len, &off);

	if (offset)
		*offset = off;
	return bpf_i_text(err, buf, size, len);
}

/* As bpf_symbolize, for an address of a process: "symbol file", or only the file. */
static inline int32_t bpf_symbolize_user(int32_t pid, uint64_t address, char *buf, uint32_t size,
					 uint64_t *offset)
{
	uint32_t len = 0;
	uint64_t off = 0;
	ebpf_errno err = ebpf_process_symbolize(pid, address, buf, size ? size - 1 : 0, &len, &off);

	if (offset)
		*offset = off;
	return bpf_i_text(err, buf, size, len);
}

/* Finds the address of a kernel symbol. Returns 0 or an error. */
static inline int32_t bpf_symbol(const char *name, uint64_t *address)
{
	return -ebpf_kernel_symbol(name, bpf_i_len(name), address);
}

/* Finds a type of the kernel, or a field in it ("se.avg.load_avg"; NULL for the type itself). */
static inline int32_t bpf_type(const char *type, const char *field, struct ebpf_type_info *out)
{
	return -ebpf_kernel_type(type, bpf_i_len(type), field, bpf_i_len(field), out, sizeof *out);
}

/* Returns the kernel's number of a network device, -EBPF_ENODEV if there is none, or an error. */
static inline int32_t bpf_interface_index(const char *name)
{
	struct ebpf_interface *list = NULL;
	uint32_t i, room = 0, count = 0;
	int32_t result = -EBPF_ENODEV;
	ebpf_errno err = ebpf_kernel_interfaces(NULL, 0, &count);

	while (!err && count > room) {
		free(list);
		room = count + 8; /* devices may come */
		list = (struct ebpf_interface *)bpf_i_alloc(room * sizeof *list);
		err = list ? ebpf_kernel_interfaces(list, room * (uint32_t)sizeof *list, &count) : EBPF_ENOMEM;
	}
	for (i = 0; !err && i < count; i++)
		if (!strncmp((const char *)list[i].name, name, sizeof list[i].name))
			result = (int32_t)list[i].index;
	free(list);
	return err ? -err : result;
}

/* Finds the id of a control group (version 2), as bpf_get_current_cgroup_id has it. */
static inline int32_t bpf_cgroup_id(const char *path, uint64_t *id)
{
	return -ebpf_kernel_cgroup_id(path, bpf_i_len(path), id);
}

/* Takes a socket of a process, for socket maps and filters. The caller closes it. */
static inline ebpf_socket bpf_open_socket(int32_t pid, int32_t fd)
{
	ebpf_socket s = 0;

	return bpf_i_result(ebpf_socket_open(pid, fd, &s), s);
}

/* Opens a process, as the key of a task storage map. The caller closes it. */
static inline ebpf_process bpf_open_process(int32_t pid)
{
	ebpf_process p = 0;

	return bpf_i_result(ebpf_process_open(pid, &p), p);
}

/* Opens a control group, for cgroup arrays and cgroup storage. The caller closes it. */
static inline ebpf_cgroup bpf_open_cgroup(const char *path)
{
	ebpf_cgroup c = 0;

	return bpf_i_result(ebpf_cgroup_open(path, bpf_i_len(path), &c), c);
}

/* Opens a file, as the key of an inode storage map. The caller closes it. */
static inline ebpf_file bpf_open_file(const char *path)
{
	ebpf_file f = 0;

	return bpf_i_result(ebpf_file_open(path, bpf_i_len(path), &f), f);
}

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* callback: misuses the older interface, which calls the guest for each record. */
#include <stdlib.h>
#include <wasm_bpf.h>
#include "witness.h"

BPF_EMBED(object, "witness.bpf.o");

static uint64_t buf[512], inner[512];
static struct wasm_bpf_loop loop = { .buf = buf, .size = sizeof(buf), .timeout_ms = -1 };

static int32_t trap(void *ctx, void *data, int32_t size)
{
	(void)ctx, (void)data, (void)size;
	__builtin_trap();
}

static int32_t ignore(void *ctx, void *data, int32_t size)
{
	(void)ctx, (void)data, (void)size;
	return 0;
}

/* Polls the buffer that calls it. */
static int32_t again(void *ctx, void *data, int32_t size)
{
	int32_t n;

	(void)ctx, (void)data, (void)size;
	n = wasm_bpf_buffer_poll(loop.obj, loop.map_fd, ignore, NULL, inner, sizeof(inner), -1);
	fprintf(stderr, "poll inside a poll: %d\n", (int)n);
	return n < 0 ? WASM_BPF_DONE : 0;
}

/* Closes the object whose buffer calls it, and goes on. */
static int32_t closes(void *ctx, void *data, int32_t size)
{
	(void)ctx, (void)data, (void)size;
	return wasm_close_bpf_object(loop.obj);
}

/* Usage: callback MARK HARM */
int main(int argc, char **argv)
{
	uint32_t mark;
	int32_t n;

	if (argc != 3)
		return 2;
	mark = (uint32_t)atoi(argv[1]);
	loop.record = !strcmp(argv[2], "trap") ? trap : !strcmp(argv[2], "again") ? again : closes;
	if (wasm_bpf_set_const(object, object_len, "mark", &mark, sizeof(mark)) || !(loop.obj = wasm_bpf_load(object, object_len)) ||
	    (loop.map_fd = wasm_bpf_map(loop.obj, "events")) < 0 || wasm_bpf_attach(loop.obj, "on_getpgid", NULL))
		return 1;
	n = wasm_bpf_poll_loop(&loop);
	fprintf(stderr, "the loop ended with %d\n", (int)n);
	return 7;
}

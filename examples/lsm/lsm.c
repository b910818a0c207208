/* SPDX-License-Identifier: Apache-2.0 */
/* lsm: prints each program that a process asks to run, before the kernel allows or denies it. */
#include <wasm_bpf.h>
#define PLUGIN "lsm"
#include "../plugin.h"
#include "lsm.h"

BPF_EMBED(object, "lsm.bpf.o");

static const char usage[] =
	"Usage: lsm [--count N]\n"
	"Prints each program that a process asks to run, before the kernel allows or denies it. It denies nothing.\n"
	"  -n, --count N    stop after N lines\n"
	"  -h, --help       show this\n";

static uint32_t left;	/* lines to go; 0 = no limit */

static int32_t print(void *ctx, void *data, int32_t size)
{
	struct lsm_event *e = data;
	char now[9];

	(void)ctx;
	if (size < (int32_t)sizeof(*e)) {
		fprintf(stderr, "lsm: record of %d bytes is too short\n", (int)size);
		return -WASM_BPF_EINVAL;
	}
	printf("%-8s %7" PRIu32 " %7" PRIu32 " %-15s  %s\n", plugin_clock(now), e->pid, e->uid,
	       plugin_text(e->comm, sizeof(e->comm)), plugin_text(e->file, sizeof(e->file)));
	return left && !--left ? WASM_BPF_DONE : 0;
}

static int32_t flush(void *ctx)
{
	(void)ctx;
	return plugin_flush() ? WASM_BPF_DONE : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static uint64_t buf[4096];
	struct wasm_bpf_loop loop = { .record = print, .batch = flush, .buf = buf, .size = sizeof(buf), .timeout_ms = -1 };
	int c, err;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	/* The host says why it cannot load: many kernels have no BPF security module. */
	loop.obj = wasm_load_bpf_object(object, (int32_t)object_len);
	if (!loop.obj)
		return 1;
	loop.map_fd = wasm_bpf_map(loop.obj, "events");
	if (loop.map_fd < 0 || wasm_bpf_attach(loop.obj, "on_check", NULL) < 0)
		return 1;
	printf("%-8s %7s %7s %-15s  %s\n", "TIME", "PID", "UID", "COMM", "FILE");
	fflush(stdout);
	err = wasm_bpf_poll_loop(&loop);
	if (err < 0)
		fprintf(stderr, "lsm: read events: %s (error %d)\n", wasm_bpf_strerror(err), -err);
	wasm_close_bpf_object(loop.obj);
	return err < 0 || plugin_flush();
}

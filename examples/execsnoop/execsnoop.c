/* SPDX-License-Identifier: Apache-2.0 */
/* execsnoop: prints each program that starts, and its duration and exit code when it ends. */
#include <wasm_bpf.h>
#define PLUGIN "execsnoop"
#include "../plugin.h"
#include "execsnoop.h"

BPF_EMBED(object, "execsnoop.bpf.o");

static const char usage[] =
	"Usage: execsnoop [--pid PID] [--comm NAME] [--count N]\n"
	"Prints each program that starts, and its duration and exit code when it ends.\n"
	"  -p, --pid PID    only this process and its direct children\n"
	"  -c, --comm NAME  only commands of this name\n"
	"  -n, --count N    stop after N lines\n"
	"  -h, --help       show this\n";

static const char *only_comm;
static uint32_t left;	/* lines to go; 0 = no limit */

static void print_args(struct execsnoop_event *e)
{
	uint32_t n = e->args_len < EXECSNOOP_ARGS ? e->args_len : EXECSNOOP_ARGS, i;

	while (n && !e->args[n - 1])
		n--;
	for (i = 0; i < n; i++)
		if (!e->args[i])
			e->args[i] = ' ';
		else if ((unsigned char)e->args[i] < ' ' || e->args[i] == 127)
			e->args[i] = '?';
	printf("%.*s%s\n", (int)n, e->args, e->args_total > e->args_len ? "..." : "");
}

static int32_t print(void *ctx, void *data, int32_t size)
{
	struct execsnoop_event *e = data;
	char now[9], duration[16], status[16];

	(void)ctx;
	if (size < EXECSNOOP_EXIT_SIZE || (e->kind == EXECSNOOP_EXEC && size < (int32_t)sizeof(*e))) {
		fprintf(stderr, "execsnoop: record of %d bytes is too short\n", (int)size);
		return -WASM_BPF_EINVAL;
	}
	plugin_text(e->comm, sizeof(e->comm));
	if (only_comm && strcmp(only_comm, e->comm))
		return 0;
	if (e->kind == EXECSNOOP_EXEC) {
		printf("%-8s exec %7" PRIu32 " %7" PRIu32 " %-15s %6s %9s  ", plugin_clock(now), e->pid,
		       e->ppid, e->comm, "-", "-");
		print_args(e);
	} else {
		if (e->exit_code & 127)
			snprintf(status, sizeof(status), "sig %u", (unsigned)(e->exit_code & 127));
		else
			snprintf(status, sizeof(status), "%u", (unsigned)(e->exit_code >> 8 & 255));
		printf("%-8s exit %7" PRIu32 " %7" PRIu32 " %-15s %6s %9s\n", plugin_clock(now), e->pid,
		       e->ppid, e->comm, status, plugin_duration(duration, e->duration_ns));
	}
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
		{ "pid", required_argument, NULL, 'p' }, { "comm", required_argument, NULL, 'c' },
		{ "count", required_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static uint64_t buf[4096];
	struct wasm_bpf_loop loop = { .record = print, .batch = flush, .buf = buf, .size = sizeof(buf), .timeout_ms = -1 };
	uint32_t pid = 0;
	int c, err;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'c': only_comm = plugin_name("--comm", "command", optarg); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	err = wasm_bpf_set_const(object, object_len, "target_pid", &pid, sizeof(pid));
	if (err < 0) {
		fprintf(stderr, "execsnoop: cannot set target_pid: %s\n", wasm_bpf_strerror(err));
		return 1;
	}
	loop.obj = wasm_bpf_load(object, object_len);
	if (!loop.obj)
		return 1;
	loop.map_fd = wasm_bpf_map(loop.obj, "events");
	if (loop.map_fd < 0 || wasm_bpf_attach(loop.obj, "on_exit", NULL) < 0 ||
	    wasm_bpf_attach(loop.obj, "on_exec", NULL) < 0)
		return 1;
	printf("%-8s %-4s %7s %7s %-15s %6s %9s  %s\n", "TIME", "KIND", "PID", "PPID", "COMM", "STATUS",
	       "DURATION", "ARGS");
	fflush(stdout);
	err = wasm_bpf_poll_loop(&loop);
	if (err < 0)
		fprintf(stderr, "execsnoop: read events: %s (error %d)\n", wasm_bpf_strerror(err), -err);
	wasm_close_bpf_object(loop.obj);
	return err < 0 || plugin_flush();
}

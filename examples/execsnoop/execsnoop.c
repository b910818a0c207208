/* SPDX-License-Identifier: Apache-2.0 */
/* execsnoop: prints each program that starts, and its duration and exit code when it ends. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "execsnoop"
#include "../plugin.h"
#include "execsnoop.h"

BPF_EMBED(object, "execsnoop.bpf.o");
BPF_MANIFEST("manifest.yaml");

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

static int print(void *record, uint32_t size)
{
	struct execsnoop_event *e = record;
	char now[9], duration[16], status[16];

	if (e->kind == EXECSNOOP_EXEC && size < sizeof(*e))
		return 0;	/* never: an exec is a whole record */
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
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' }, { "comm", required_argument, NULL, 'c' },
		{ "count", required_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	bpf_events *ev;
	bpf_obj obj;
	uint32_t pid = 0;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'c': only_comm = plugin_name("--comm", "command", optarg); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	obj = bpf_open(object, object_len);
	if (bpf_set_u32(obj, "target_pid", pid) || bpf_load_opened(obj, 0) || !(ev = bpf_events_open(obj, "events")) ||
	    bpf_err(bpf_attach_all(obj)))
		return plugin_failed();
	printf("%-8s %-4s %7s %7s %-15s %6s %9s  %s\n", "TIME", "KIND", "PID", "PPID", "COMM", "STATUS",
	       "DURATION", "ARGS");
	fflush(stdout);
	return plugin_records(ev, EXECSNOOP_EXIT_SIZE, print);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tasks: prints the processes of this machine, or the threads of one, as the kernel itself lists them. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "tasks"
#include "../plugin.h"
#include "tasks.h"

BPF_EMBED(object, "tasks.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: tasks [--threads PID] [--kernel]\n"
	"Prints the processes of this machine, or the threads of one.\n"
	"  -t, --threads PID  the threads of this process\n"
	"  -k, --kernel       threads of the kernel as well\n"
	"  -h, --help         show this\n";

static uint32_t threads;	/* of this process; 0: all processes */
static int kernel;		/* threads of the kernel as well */

static void print(struct tasks_task *t)
{
	if ((t->kernel && !kernel) || (!threads && t->tid != t->pid))
		return;
	printf("%7" PRIu32 " %7" PRIu32 " %7" PRIu32 " %7" PRIu32 " %-6s %s\n", t->pid, t->tid, t->ppid, t->threads,
	       t->kernel ? "kernel" : "user", plugin_text(t->comm, sizeof(t->comm)));
}

/* Reads a run of the program to its end. What it writes comes in pieces that end anywhere. Returns the exit code. */
static int print_all(bpf_link link)
{
	static char buf[256 * sizeof(struct tasks_task)];
	ebpf_iter it = bpf_iter_open(link);
	uint32_t have = 0, at;
	int32_t n;

	if (bpf_err(it))
		return plugin_failed();
	while ((n = bpf_iter_read(it, buf + have, sizeof(buf) - have)) > 0) {
		have += (uint32_t)n;
		for (at = 0; have - at >= sizeof(struct tasks_task); at += sizeof(struct tasks_task))
			print((struct tasks_task *)(void *)(buf + at));
		have -= at;
		memmove(buf, buf + at, have);
	}
	bpf_close(it);
	if (bpf_err(n) == EBPF_EINTR)
		return 1;	/* it is being stopped, such as by "| head": no failure to speak of */
	return bpf_err(n) ? plugin_failed() : plugin_flush() ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' }, { "kernel", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct ebpf_target at = bpf_at_section();
	bpf_link link;
	bpf_obj obj;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 't': threads = plugin_number("--threads", optarg, 1, INT32_MAX); break;
		case 'k': kernel = 1; break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	at.pid = (int32_t)threads;
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || bpf_err(link = bpf_attach(obj, "write_task", at)))
		return plugin_failed();
	printf("%7s %7s %7s %7s %-6s %s\n", "PID", "TID", "PPID", "THREADS", "KIND", "COMM");
	return print_all(link);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* lsm: prints each program that a process asks to run, before the kernel allows or denies it. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "lsm"
#include "../plugin.h"
#include "lsm.h"

BPF_EMBED(object, "lsm.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: lsm [--count N]\n"
	"Prints each program that a process asks to run, before the kernel allows or denies it. It denies nothing.\n"
	"  -n, --count N    stop after N lines\n"
	"  -h, --help       show this\n";

static uint32_t left;	/* lines to go; 0 = no limit */

static int print(void *record, uint32_t size)
{
	struct lsm_event *e = record;
	char now[9];

	(void)size;
	printf("%-8s %7" PRIu32 " %7" PRIu32 " %-15s  %s\n", plugin_clock(now), e->pid, e->uid,
	       plugin_text(e->comm, sizeof(e->comm)), plugin_text(e->file, sizeof(e->file)));
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	bpf_events *ev;
	bpf_obj obj;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	/* The host says why it cannot load: many kernels have no BPF security module. */
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || !(ev = bpf_events_open(obj, "events")) || bpf_err(bpf_attach_all(obj)))
		return plugin_failed();
	printf("%-8s %7s %7s %-15s  %s\n", "TIME", "PID", "UID", "COMM", "FILE");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct lsm_event), print);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* usdt: prints each time that a process passes a static probe of a program or library. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "usdt"
#include "../plugin.h"
#include "usdt.h"

BPF_EMBED(object, "usdt.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: usdt [--pid PID] [--count N] FILE PROVIDER:NAME...\n"
	"Prints each time that a process passes one of the static probes (USDT) of a program or library.\n"
	"readelf -n FILE lists the probes of a file.\n"
	"  -p, --pid PID  only this process; FILE is what it sees\n"
	"  -n, --count N  stop after N lines\n"
	"  -h, --help     show this\n";

static char **probes;
static uint32_t count;	/* of probes */
static uint32_t left;	/* lines to go; 0 = no limit */

static int print(void *record, uint32_t size)
{
	struct usdt_event *e = record;
	char now[9];

	(void)size;
	if (e->probe >= count)
		return 0;	/* never */
	printf("%-8s %7" PRIu32 " %7" PRIu32 " %-15s  %s\n", plugin_clock(now), e->pid, e->tid,
	       plugin_text(e->comm, sizeof(e->comm)), probes[e->probe]);
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct ebpf_target at;
	uint32_t pid = 0, i;
	const char *file;
	bpf_events *ev;
	bpf_obj obj;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	probes = plugin_arguments(argc, argv, 2, 1024, "FILE or PROVIDER:NAME");
	file = *probes++;
	count = (uint32_t)(argc - optind - 1);
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || !(ev = bpf_events_open(obj, "events")))
		return plugin_failed();
	for (i = 0; i < count; i++) {
		at = bpf_at_user(file, probes[i], (int32_t)pid);
		at.cookie = i;
		if (bpf_err(bpf_attach(obj, "on_probe", at)))
			return plugin_failed();
	}
	printf("%-8s %7s %7s %-15s  %s\n", "TIME", "PID", "TID", "COMM", "PROBE");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct usdt_event), print);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* uprobe: counts and times the calls of a function of a program or library. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "uprobe"
#include "../plugin.h"
#include "uprobe.h"

BPF_EMBED(object, "uprobe.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: uprobe [--interval SECONDS] [--count N] [--pid PID] [--verbose] FILE:FUNCTION\n"
	"Counts and times the calls of a function of a program or library, in all processes or one.\n"
	"FUNCTION may be an address in the file as well: FILE:0x1234.\n"
	"  -i, --interval SECONDS  one line per so many seconds (default 1)\n"
	"  -p, --pid PID           only this process; a path is what it sees\n"
	"  -v, --verbose           one line per call, when it returns, instead\n"
	"  -n, --count N           stop after N lines\n"
	"  -h, --help              show this\n";

static uint32_t left;	/* lines to go; 0 = no limit */

static int print_call(void *record, uint32_t size)
{
	struct uprobe_call *c = record;
	char now[9], duration[16];

	(void)size;
	printf("%-8s %7" PRIu32 " %7" PRIu32 " %-15s %9s\n", plugin_clock(now), c->pid, c->tid,
	       plugin_text(c->comm, sizeof(c->comm)), plugin_duration(duration, c->duration_ns));
	return left && !--left;
}

/* Prints each call until the end. Returns the exit code. */
static int print_calls(bpf_obj obj)
{
	bpf_events *ev = bpf_events_open(obj, "calls");

	if (!ev)
		return plugin_failed();
	printf("%-8s %7s %7s %-15s %9s\n", "TIME", "PID", "TID", "COMM", "DURATION");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct uprobe_call), print_call);
}

/* Lets the programs add to the other sum, then adds up and clears this one. Returns 0 or negative. */
static int32_t take_sum(bpf_obj obj, bpf_map sums, struct uprobe_sum *sum)
{
	static uint32_t which;
	const struct uprobe_sum none = { 0 };
	struct uprobe_sum one;
	uint32_t old = which, cpu;
	int32_t err;

	which = !which;
	err = bpf_set_u32(obj, "current", which);
	if (err)
		return err;
	*sum = none;
	for (cpu = 0; !(err = bpf_map_lookup_cpu(sums, &old, cpu, &one)); cpu++) {
		sum->calls += one.calls;
		sum->timed += one.timed;
		sum->total_ns += one.total_ns;
		if (one.min_ns && (!sum->min_ns || one.min_ns < sum->min_ns))
			sum->min_ns = one.min_ns;
		if (one.max_ns > sum->max_ns)
			sum->max_ns = one.max_ns;
	}
	return err == -EBPF_ERANGE ? bpf_map_update_cpus(sums, &old, &none) : err;
}

/* Prints one line per interval until the end. Returns the exit code. */
static int print_sums(bpf_obj obj, uint32_t interval)
{
	bpf_map sums = bpf_find_map(obj, "sums");
	char now[9], min[16], avg[16], max[16];
	struct uprobe_sum s;
	uint64_t total = 0;
	int stopped;

	if (bpf_err(sums))
		return plugin_failed();
	printf("%-8s %10s %9s %9s %9s %12s\n", "TIME", "CALLS", "MIN", "AVG", "MAX", "TOTAL CALLS");
	fflush(stdout);
	/* When the plugin is stopped, the last line is of a part of the interval. */
	do {
		stopped = plugin_sleep(interval);
		if (take_sum(obj, sums, &s))
			return plugin_failed();
		total += s.calls;
		if (s.timed) {
			plugin_duration(min, s.min_ns);
			plugin_duration(avg, s.total_ns / s.timed);
			plugin_duration(max, s.max_ns);
		}
		printf("%-8s %10" PRIu64 " %9s %9s %9s %12" PRIu64 "\n", plugin_clock(now), s.calls, s.timed ? min : "-",
		       s.timed ? avg : "-", s.timed ? max : "-", total);
	} while (!plugin_flush() && !stopped && !(left && !--left));
	return 0;
}

/* Where FILE:FUNCTION or FILE:0xADDRESS is. Cuts the text at the colon. */
static struct ebpf_target place(char *text, int32_t pid)
{
	char *symbol = strrchr(text, ':'), *end;
	struct ebpf_target at;
	uint64_t address;

	if (!symbol || symbol == text || !symbol[1])
		plugin_wrong("FILE:FUNCTION: want a file, a colon and a function, got \"%s\"", text);
	*symbol++ = 0;
	at = bpf_at_user(text, symbol, pid);
	address = strtoull(symbol, &end, 16);
	if (!strncmp(symbol, "0x", 2) && !*end) {
		at = bpf_at_user(text, NULL, pid);
		at.offset = address;
	}
	return at;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "pid", required_argument, NULL, 'p' }, { "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, pid = 0;
	struct ebpf_target at;
	uint8_t verbose = 0;
	bpf_obj obj;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'v': verbose = 1; break;
		}
	}
	at = place(*plugin_arguments(argc, argv, 1, 1, "FILE:FUNCTION"), (int32_t)pid);
	obj = bpf_open(object, object_len);
	/* The return first: every call that is counted can be timed. */
	if (bpf_set_u8(obj, "verbose", verbose) || bpf_load_opened(obj, 0) ||
	    bpf_err(bpf_attach(obj, "on_return", at)) || bpf_err(bpf_attach(obj, "on_call", at)))
		return plugin_failed();
	return verbose ? print_calls(obj) : print_sums(obj, interval);
}

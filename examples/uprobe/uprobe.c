/* SPDX-License-Identifier: Apache-2.0 */
/* uprobe: counts and times the calls of a function of a program or library. */
#include <wasm_bpf.h>
#define PLUGIN "uprobe"
#include "../plugin.h"
#include "uprobe.h"

BPF_EMBED(object, "uprobe.bpf.o");

static const char usage[] =
	"Usage: uprobe [--interval SECONDS] [--count N] [--verbose] FILE:FUNCTION[@PID]\n"
	"Counts and times the calls of a function of a program or library, in all processes or one.\n"
	"FUNCTION may be an address in the file as well: FILE:0x1234.\n"
	"  -i, --interval SECONDS  one line per so many seconds (default 1)\n"
	"  -v, --verbose           one line per call, when it returns, instead\n"
	"  -n, --count N           stop after N lines\n"
	"  -h, --help              show this\n";

static uint32_t left;	/* lines to go; 0 = no limit */

static int32_t print_call(void *ctx, void *data, int32_t size)
{
	struct uprobe_call *c = data;
	char now[9], duration[16];

	(void)ctx;
	if (size < (int32_t)sizeof(*c)) {
		fprintf(stderr, "uprobe: record of %d bytes is too short\n", (int)size);
		return -WASM_BPF_EINVAL;
	}
	printf("%-8s %7" PRIu32 " %7" PRIu32 " %-15s %9s\n", plugin_clock(now), c->pid, c->tid,
	       plugin_text(c->comm, sizeof(c->comm)), plugin_duration(duration, c->duration_ns));
	return left && !--left ? WASM_BPF_DONE : 0;
}

static int32_t flush(void *ctx)
{
	(void)ctx;
	return plugin_flush() ? WASM_BPF_DONE : 0;
}

/* Prints each call until the end. Returns 0 or a negative error number. */
static int32_t print_calls(wasm_bpf_object obj)
{
	static uint64_t buf[4096];
	struct wasm_bpf_loop loop = { .obj = obj, .record = print_call, .batch = flush, .buf = buf, .size = sizeof(buf),
				      .timeout_ms = -1 };

	loop.map_fd = wasm_bpf_map(obj, "calls");
	if (loop.map_fd < 0)
		return loop.map_fd;
	printf("%-8s %7s %7s %-15s %9s\n", "TIME", "PID", "TID", "COMM", "DURATION");
	fflush(stdout);
	return wasm_bpf_poll_loop(&loop);
}

/* Lets the programs add to the other sum, then adds up and clears this one. Returns 0 or negative. */
static int32_t take_sum(int32_t sums, int32_t current, struct uprobe_sum *sum)
{
	static uint32_t which;
	const struct uprobe_sum none = { 0 };
	struct uprobe_sum one;
	uint32_t key = 0, old = which, cpu;
	int32_t err;

	which = !which;
	err = wasm_bpf_update(current, &key, &which);
	if (err < 0)
		return err;
	*sum = none;
	for (cpu = 0; !(err = wasm_bpf_lookup_cpu(sums, &old, cpu, &one)); cpu++) {
		sum->calls += one.calls;
		sum->timed += one.timed;
		sum->total_ns += one.total_ns;
		if (one.min_ns && (!sum->min_ns || one.min_ns < sum->min_ns))
			sum->min_ns = one.min_ns;
		if (one.max_ns > sum->max_ns)
			sum->max_ns = one.max_ns;
	}
	return err == -WASM_BPF_ERANGE ? wasm_bpf_update_cpus(sums, &old, &none) : err;
}

/* Prints one line per interval until the end. Returns 0 or a negative error number. */
static int32_t print_sums(wasm_bpf_object obj, uint32_t interval)
{
	int32_t sums = wasm_bpf_map(obj, "sums"), current = wasm_bpf_map(obj, "current"), err;
	char now[9], min[16], avg[16], max[16];
	struct uprobe_sum s;
	uint64_t total = 0;
	int stopped;

	if (sums < 0 || current < 0)
		return sums < 0 ? sums : current;
	printf("%-8s %10s %9s %9s %9s %12s\n", "TIME", "CALLS", "MIN", "AVG", "MAX", "TOTAL CALLS");
	fflush(stdout);
	/* When the plugin is stopped, the last line is of a part of the interval. */
	do {
		stopped = plugin_sleep(interval);
		err = take_sum(sums, current, &s);
		if (err < 0)
			return err;
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

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	wasm_bpf_object obj;
	uint32_t interval = 1;
	uint8_t verbose = 0;
	const char *target;
	int32_t err;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		case 'v': verbose = 1; break;
		}
	}
	target = *plugin_arguments(argc, argv, 1, 1, "FILE:FUNCTION");
	err = wasm_bpf_set_const(object, object_len, "verbose", &verbose, sizeof(verbose));
	if (err < 0) {
		fprintf(stderr, "uprobe: cannot set verbose: %s\n", wasm_bpf_strerror(err));
		return 1;
	}
	obj = wasm_bpf_load(object, object_len);
	/* The return first: every call that is counted can be timed. */
	if (!obj || wasm_bpf_attach(obj, "on_return", target) < 0 || wasm_bpf_attach(obj, "on_call", target) < 0)
		return 1;
	err = verbose ? print_calls(obj) : print_sums(obj, interval);
	if (err < 0)
		fprintf(stderr, "uprobe: read the calls: %s (error %d)\n", wasm_bpf_strerror(err), (int)-err);
	wasm_close_bpf_object(obj);
	return err < 0 || plugin_flush();
}

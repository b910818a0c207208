/* SPDX-License-Identifier: Apache-2.0 */
/* xdpcount: prints the packets and bytes that an interface receives, per protocol. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "xdpcount"
#include "../plugin.h"
#include "xdpcount.h"

BPF_EMBED(object, "xdpcount.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: xdpcount [--interval SECONDS] [--count N] [--mode native|generic] INTERFACE\n"
	"Prints the packets and bytes that an interface receives, per protocol. Every packet passes.\n"
	"  -i, --interval SECONDS  one table per so many seconds (default 1)\n"
	"  -m, --mode MODE         insist on the driver's hook (native) or the kernel's general one (generic)\n"
	"  -n, --count N           stop after N tables\n"
	"  -h, --help              show this\n";

static const char *const names[XDPCOUNT_KINDS] = {
	[XDPCOUNT_IP4_TCP] = "IPv4 TCP", [XDPCOUNT_IP4_UDP] = "IPv4 UDP",
	[XDPCOUNT_IP4_ICMP] = "IPv4 ICMP", [XDPCOUNT_IP4_OTHER] = "IPv4 other",
	[XDPCOUNT_IP6_TCP] = "IPv6 TCP", [XDPCOUNT_IP6_UDP] = "IPv6 UDP",
	[XDPCOUNT_IP6_ICMP] = "IPv6 ICMP", [XDPCOUNT_IP6_OTHER] = "IPv6 other",
	[XDPCOUNT_ARP] = "ARP", [XDPCOUNT_OTHER] = "other",
};

/* Adds up what all CPUs counted, of all protocols in one call. Returns 0 or a negative error. */
static int32_t read_sums(bpf_map map, struct xdpcount_sum sums[XDPCOUNT_KINDS])
{
	bpf_walk *w = bpf_walk_open(map);
	const struct xdpcount_sum *one;
	const uint32_t *kind;
	uint32_t cpu;
	int32_t err;

	memset(sums, 0, XDPCOUNT_KINDS * sizeof(*sums));
	while ((kind = bpf_walk_next(w)))
		for (cpu = 0; *kind < XDPCOUNT_KINDS && cpu < w->cpus; cpu++) {
			one = bpf_walk_value_cpu(w, cpu);
			sums[*kind].packets += one->packets;
			sums[*kind].bytes += one->bytes;
		}
	err = bpf_walk_err(w);
	bpf_walk_close(w);
	return err;
}

static void print_row(const char *now, const char *name, const struct xdpcount_sum *in, const struct xdpcount_sum *all)
{
	printf("%-8s %-10s %12" PRIu64 " %15" PRIu64 " %15" PRIu64 " %18" PRIu64 "\n", now, name, in->packets,
	       in->bytes, all->packets, all->bytes);
}

/* Prints the protocols seen so far, and their sum. Returns 0, or the plugin's exit code. */
static int print_table(bpf_map map)
{
	static struct xdpcount_sum before[XDPCOUNT_KINDS];
	struct xdpcount_sum sums[XDPCOUNT_KINDS], sum, in, in_all = { 0 }, sum_all = { 0 };
	uint32_t kind;
	char now[9];

	if (read_sums(map, sums))
		return plugin_failed();
	plugin_clock(now);
	for (kind = 0; kind < XDPCOUNT_KINDS; kind++) {
		sum = sums[kind];
		in.packets = sum.packets - before[kind].packets;
		in.bytes = sum.bytes - before[kind].bytes;
		before[kind] = sum;
		in_all.packets += in.packets;
		in_all.bytes += in.bytes;
		sum_all.packets += sum.packets;
		sum_all.bytes += sum.bytes;
		if (sum.packets)
			print_row(now, names[kind], &in, &sum);
	}
	print_row(now, "all", &in_all, &sum_all);
	return plugin_flush() ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, 'm' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, left = 0, mode = EBPF_XDP_AUTO;	/* left: tables to go; 0 = no limit */
	const char *interface;
	bpf_obj obj;
	bpf_map map;
	int c, stopped, err;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'm': mode = plugin_choice("--mode", optarg, "native", "generic", NULL); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	interface = *plugin_arguments(argc, argv, 1, 1, "the interface");
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || bpf_err(map = bpf_find_map(obj, "sums")) ||
	    bpf_err(bpf_attach(obj, "count", bpf_at_xdp(interface, mode))))
		return plugin_failed();
	printf("%-8s %-10s %12s %15s %15s %18s\n", "TIME", "PROTOCOL", "PACKETS", "BYTES", "TOTAL PACKETS", "TOTAL BYTES");
	fflush(stdout);
	/* When the plugin is stopped, the last table is of a part of the interval. */
	do {
		stopped = plugin_sleep(interval);
		err = print_table(map);
	} while (!stopped && !err && !(left && !--left));
	return err;
}

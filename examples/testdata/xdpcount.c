/* SPDX-License-Identifier: Apache-2.0 */
/* xdpcount: prints the packets and bytes that an interface receives, per protocol. */
#include <wasm_bpf.h>
#define PLUGIN "xdpcount"
#include "../plugin.h"
#include "../xdpcount/xdpcount.h"

BPF_EMBED(object, "../xdpcount/xdpcount.bpf.o");

static const char usage[] =
	"Usage: xdpcount [--interval SECONDS] [--count N] INTERFACE[:native|:generic]\n"
	"Prints the packets and bytes that an interface receives, per protocol. Every packet passes.\n"
	"  -i, --interval SECONDS  one table per so many seconds (default 1)\n"
	"  -n, --count N           stop after N tables\n"
	"  -h, --help              show this\n";

static const char *const names[XDPCOUNT_KINDS] = {
	[XDPCOUNT_IP4_TCP] = "IPv4 TCP", [XDPCOUNT_IP4_UDP] = "IPv4 UDP",
	[XDPCOUNT_IP4_ICMP] = "IPv4 ICMP", [XDPCOUNT_IP4_OTHER] = "IPv4 other",
	[XDPCOUNT_IP6_TCP] = "IPv6 TCP", [XDPCOUNT_IP6_UDP] = "IPv6 UDP",
	[XDPCOUNT_IP6_ICMP] = "IPv6 ICMP", [XDPCOUNT_IP6_OTHER] = "IPv6 other",
	[XDPCOUNT_ARP] = "ARP", [XDPCOUNT_OTHER] = "other",
};

/* Adds up what all CPUs counted. Returns 0 or a negative error number. */
static int32_t read_sum(int32_t map_fd, uint32_t kind, struct xdpcount_sum *sum)
{
	struct xdpcount_sum one;
	uint32_t cpu;
	int32_t err;

	sum->packets = sum->bytes = 0;
	for (cpu = 0; !(err = wasm_bpf_lookup_cpu(map_fd, &kind, cpu, &one)); cpu++) {
		sum->packets += one.packets;
		sum->bytes += one.bytes;
	}
	return err == -WASM_BPF_ERANGE ? 0 : err;
}

static void print_row(const char *now, const char *name, const struct xdpcount_sum *in, const struct xdpcount_sum *all)
{
	printf("%-8s %-10s %12" PRIu64 " %15" PRIu64 " %15" PRIu64 " %18" PRIu64 "\n", now, name, in->packets,
	       in->bytes, all->packets, all->bytes);
}

/* Prints the protocols seen so far, and their sum. Returns 0, or negative if that cannot go on. */
static int32_t print_table(int32_t map_fd)
{
	static struct xdpcount_sum before[XDPCOUNT_KINDS];
	struct xdpcount_sum sum, in, in_all = { 0 }, sum_all = { 0 };
	uint32_t kind;
	char now[9];
	int32_t err;

	plugin_clock(now);
	for (kind = 0; kind < XDPCOUNT_KINDS; kind++) {
		err = read_sum(map_fd, kind, &sum);
		if (err < 0) {
			fprintf(stderr, "xdpcount: read the counters: %s (error %d)\n", wasm_bpf_strerror(err), (int)-err);
			return err;
		}
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
	return plugin_flush() ? -WASM_BPF_EINVAL : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, left = 0;	/* tables to go; 0 = no limit */
	wasm_bpf_object obj;
	int32_t map_fd, err;
	const char *target;
	int c, stopped;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	target = *plugin_arguments(argc, argv, 1, 1, "the interface");
	obj = wasm_bpf_load(object, object_len);
	if (!obj)
		return 1;
	map_fd = wasm_bpf_map(obj, "sums");
	if (map_fd < 0 || wasm_bpf_attach(obj, "count", target) < 0)
		return 1;
	printf("%-8s %-10s %12s %15s %15s %18s\n", "TIME", "PROTOCOL", "PACKETS", "BYTES", "TOTAL PACKETS", "TOTAL BYTES");
	fflush(stdout);
	/* When the plugin is stopped, the last table is of a part of the interval. */
	do {
		stopped = plugin_sleep(interval);
		err = print_table(map_fd);
	} while (!stopped && err >= 0 && !(left && !--left));
	wasm_close_bpf_object(obj);
	return err < 0;
}

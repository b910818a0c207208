/* SPDX-License-Identifier: Apache-2.0 */
/* tcx: prints the packets and bytes of an interface in both directions, per protocol. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "tcx"
#include "../plugin.h"
#include "tcx.h"

BPF_EMBED(object, "tcx.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: tcx [--interval SECONDS] [--count N] [INTERFACE]\n"
	"Prints the packets and bytes of an interface in both directions, per protocol. Every packet passes.\n"
	"Without INTERFACE it is \"uplink\", which the host says what it is: bowline run --name uplink=eth1.\n"
	"  -i, --interval SECONDS  one table per so many seconds (default 1)\n"
	"  -n, --count N           stop after N tables\n"
	"  -h, --help              show this\n";

#define ROWS 1024

struct row {
	struct tcx_kind kind;
	struct tcx_sum sum;
};

/* Names what a packet carries. */
static const char *kind_name(char buf[24], const struct tcx_kind *k)
{
	const char *ip = k->ethertype == 0x0800 ? "IPv4" : "IPv6";

	if (k->ethertype == 0x0806)
		return "ARP";
	if (k->ethertype != 0x0800 && k->ethertype != 0x86dd)
		snprintf(buf, 24, "type 0x%04x", k->ethertype);
	else if (k->protocol == 6 || k->protocol == 17)
		snprintf(buf, 24, "%s %s", ip, k->protocol == 6 ? "TCP" : "UDP");
	else if (k->protocol == (k->ethertype == 0x0800 ? 1 : 58))
		snprintf(buf, 24, "%s ICMP", ip);
	else
		snprintf(buf, 24, "%s %u", ip, k->protocol);
	return buf;
}

static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->kind.out != y->kind.out)
		return x->kind.out - y->kind.out;
	if (x->kind.ethertype != y->kind.ethertype)
		return x->kind.ethertype - y->kind.ethertype;
	return x->kind.protocol - y->kind.protocol;
}

/* Reads what was counted so far. Returns the number of rows, or a negative error. */
static int32_t read_rows(bpf_map map, struct row rows[ROWS])
{
	bpf_walk *w = bpf_walk_open(map);
	const struct tcx_sum *one;
	const struct tcx_kind *k;
	uint32_t cpu;
	int32_t n, err;

	for (n = 0; n < ROWS && (k = bpf_walk_next(w)); n++) {
		rows[n] = (struct row){ .kind = *k };
		for (cpu = 0; cpu < w->cpus; cpu++) {
			one = bpf_walk_value_cpu(w, cpu);
			rows[n].sum.packets += one->packets;
			rows[n].sum.bytes += one->bytes;
		}
	}
	err = bpf_walk_err(w);
	bpf_walk_close(w);
	return err ? err : n;
}

/* Prints a table of what was counted so far. Returns 0, or the plugin's exit code. */
static int print_table(bpf_map map)
{
	static struct row rows[ROWS];
	int32_t n = read_rows(map, rows), i;
	char now[9], name[24];

	if (bpf_err(n))
		return plugin_failed();
	qsort(rows, (size_t)n, sizeof(*rows), compare);
	plugin_clock(now);
	for (i = 0; i < n; i++)
		printf("%-8s %-3s %-11s %15" PRIu64 " %18" PRIu64 "\n", now, rows[i].kind.out ? "out" : "in",
		       kind_name(name, &rows[i].kind), rows[i].sum.packets, rows[i].sum.bytes);
	return plugin_flush() ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, left = 0;	/* tables to go; 0 = no limit */
	const char *interface;
	bpf_obj obj;
	bpf_map map;
	int c, stopped, err;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	interface = *plugin_arguments(argc, argv, 0, 1, NULL);
	if (!interface)
		interface = "uplink";
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || bpf_err(map = bpf_find_map(obj, "sums")) ||
	    bpf_err(bpf_attach(obj, "count_in", bpf_at(interface))) ||
	    bpf_err(bpf_attach(obj, "count_out", bpf_at(interface))))
		return plugin_failed();
	printf("%-8s %-3s %-11s %15s %18s\n", "TIME", "WAY", "PROTOCOL", "TOTAL PACKETS", "TOTAL BYTES");
	fflush(stdout);
	do {
		stopped = plugin_sleep(interval);
		err = print_table(map);
	} while (!stopped && !err && !(left && !--left));
	return err;
}

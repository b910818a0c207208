/* SPDX-License-Identifier: Apache-2.0 */
/* tcpopt: sets options of the TCP connections of a cgroup, and prints each connection. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "tcpopt"
#include "../plugin.h"
#include "tcpopt.h"

BPF_EMBED(object, "tcpopt.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: tcpopt [--window N] [--rto MS] [--congestion NAME] [--count N] CGROUP\n"
	"Sets options of the TCP connections that a cgroup's processes make, and prints each connection.\n"
	"CGROUP is a directory of cgroup v2, or a path below its root; \".\" is the root.\n"
	"  -w, --window N         initial congestion window in segments\n"
	"  -r, --rto MS           initial retransmission time-out in milliseconds\n"
	"  -c, --congestion NAME  congestion control, such as bbr\n"
	"  -n, --count N          stop after N lines\n"
	"  -h, --help             show this\n";

static const char *const kinds[] = { [TCPOPT_OPEN] = "open", [TCPOPT_ACCEPT] = "accept", [TCPOPT_CLOSE] = "close" };

static uint32_t window, rto_ms;	/* 0 = left alone */
static char congestion[TCPOPT_NAME];	/* empty = left alone */
_Static_assert(sizeof(congestion) > 15, "plugin_name allows 15");
static uint32_t left;	/* lines to go; 0 = no limit */

/* Prints one setting: its value, or why it could not be set, by a number of Linux. */
static void setting(const char *name, const char *value, int32_t err)
{
	if (err)
		printf("  %s: %s (error %d)", name,
		       err == -2 ? "this kernel has none of that name" : "refused by the kernel", (int)-err);
	else
		printf("  %s=%s", name, value);
}

static int print(void *record, uint32_t size)
{
	struct tcpopt_event *e = record;
	char now[9], local[64], remote[64], number[24];

	(void)size;
	if (e->kind < TCPOPT_OPEN || e->kind > TCPOPT_CLOSE)
		return 0;	/* never */
	printf("%-8s %-6s %-21s %-21s", plugin_clock(now), kinds[e->kind],
	       plugin_address(local, e->local, e->ipv6, e->local_port),
	       plugin_address(remote, e->remote, e->ipv6, e->remote_port));
	if (e->kind == TCPOPT_CLOSE) {
		printf("  rtt=%s sent=%" PRIu64 " received=%" PRIu64 " retransmitted=%" PRIu32,
		       plugin_duration(number, e->rtt_us * 1000ULL), e->sent, e->received, e->retransmitted);
	} else {
		snprintf(number, sizeof(number), "%" PRIu32, window);
		if (window)
			setting("window", number, e->window);
		snprintf(number, sizeof(number), "%" PRIu32 "ms", e->rto_ms);
		if (e->rto_ms)
			setting("rto", number, 0);
		if (congestion[0])
			setting("congestion", congestion, e->congestion);
		if (!window && !e->rto_ms && !congestion[0])
			printf("  -");
	}
	putchar('\n');
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "window", required_argument, NULL, 'w' }, { "rto", required_argument, NULL, 'r' },
		{ "congestion", required_argument, NULL, 'c' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bpf_events *ev;
	bpf_obj obj;
	const char *target;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'w': window = plugin_number("--window", optarg, 1, 10000); break;
		case 'r': rto_ms = plugin_number("--rto", optarg, 1, 120000); break;
		case 'c': strcpy(congestion, plugin_name("--congestion", "congestion control's", optarg)); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	target = *plugin_arguments(argc, argv, 1, 1, "the cgroup");
	obj = bpf_open(object, object_len);
	if (bpf_set_u32(obj, "window", window) || bpf_set_u32(obj, "rto_ms", rto_ms) ||
	    bpf_set(obj, "congestion", congestion, sizeof(congestion)) || bpf_load_opened(obj, 0) ||
	    !(ev = bpf_events_open(obj, "events")) || bpf_err(bpf_attach(obj, "on_event", bpf_at(target))))
		return plugin_failed();
	printf("%-8s %-6s %-21s %-21s  %s\n", "TIME", "KIND", "LOCAL", "REMOTE", "SET");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct tcpopt_event), print);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* connect: prints the connections that the processes of a cgroup ask for, and refuses some. */
#include <arpa/inet.h>
#include <wasi_ebpf/bpf.h>
#define PLUGIN "connect"
#include "../plugin.h"
#include "connect.h"

BPF_EMBED(object, "connect.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: connect [--refuse ADDRESS[/BITS]]... [--count N] CGROUP\n"
	"Prints the connections that the processes of a cgroup ask for, and refuses those to some addresses.\n"
	"CGROUP is a directory of cgroup v2, or a path below its root; \".\" is the root.\n"
	"  -r, --refuse ADDRESS[/BITS]  refuse an IPv4 or IPv6 address or network; may be given often\n"
	"  -n, --count N                stop after N lines\n"
	"  -h, --help                   show this\n";

static uint32_t left;	/* lines to go; 0 = no limit */

/* Reads "10.0.0.0/8" or "fe80::/10" into a rule, or ends the plugin. */
static struct connect_rule read_rule(char *text)
{
	char *bits = strchr(text, '/');
	struct connect_rule rule = { .bits = 128 };
	uint32_t lead = 0;

	if (bits)
		*bits++ = 0;
	if (inet_pton(AF_INET, text, &rule.address[3]) == 1) {
		rule.address[2] = htonl(0xffff);
		lead = 96;
	} else if (inet_pton(AF_INET6, text, rule.address) != 1) {
		plugin_wrong("--refuse: want an address such as 10.0.0.0/8 or 2001:db8::1, got \"%s\"", text);
	}
	if (bits)
		rule.bits = lead + plugin_number("--refuse", bits, 0, 128 - lead);
	return rule;
}

static int print(void *record, uint32_t size)
{
	struct connect_event *e = record;
	char now[9], to[64];

	(void)size;
	printf("%-8s %7" PRIu32 " %-15s %-3s %-7s  %s\n", plugin_clock(now), e->pid, plugin_text(e->comm, sizeof(e->comm)),
	       e->udp ? "UDP" : "TCP", e->refused ? "refused" : "-", plugin_address(to, e->address, 1, e->port));
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "refuse", required_argument, NULL, 'r' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	static struct connect_rule rules[CONNECT_RULES];
	uint32_t count = 0, i, yes = 1;
	const char *cgroup;
	bpf_events *ev;
	bpf_obj obj;
	bpf_map map;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'r':
			if (count == CONNECT_RULES)
				plugin_wrong("--refuse: at most %d addresses", CONNECT_RULES);
			rules[count++] = read_rule(optarg);
			break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	cgroup = *plugin_arguments(argc, argv, 1, 1, "the cgroup");
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || !(ev = bpf_events_open(obj, "events")) || bpf_err(map = bpf_find_map(obj, "rules")))
		return plugin_failed();
	/* The rules first: no connection slips through before they are there. */
	for (i = 0; i < count; i++)
		if (bpf_map_update(map, &rules[i], &yes, EBPF_UPDATE_ANY))
			return plugin_failed();
	if (bpf_err(bpf_attach(obj, "on_connect4", bpf_at(cgroup))) ||
	    bpf_err(bpf_attach(obj, "on_connect6", bpf_at(cgroup))))
		return plugin_failed();
	printf("%-8s %7s %-15s %-3s %-7s  %s\n", "TIME", "PID", "COMM", "VIA", "VERDICT", "TO");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct connect_event), print);
}

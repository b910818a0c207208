/* SPDX-License-Identifier: Apache-2.0 */
/* portsteer: gives the TCP connections to a range of ports to one listening socket of a process. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "portsteer"
#include "../plugin.h"
#include "portsteer.h"

BPF_EMBED(object, "portsteer.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: portsteer [--netns NAME] [--count N] FIRST[-LAST] PID FD\n"
	"Gives the TCP connections that come to the ports FIRST to LAST to one listening socket: that which process PID\n"
	"has as its descriptor FD (see ls -l /proc/PID/fd). The process needs to know nothing of it.\n"
	"  -N, --netns NAME  in this network namespace, by its name or path\n"
	"  -n, --count N     stop after N connections\n"
	"  -h, --help        show this\n";

static uint32_t left;	/* lines to go; 0 = no limit */

static int print(void *record, uint32_t size)
{
	struct portsteer_event *e = record;
	char now[9], remote[64];

	(void)size;
	printf("%-8s %5" PRIu32 "  %s", plugin_clock(now), e->port,
	       plugin_address(remote, e->remote, e->ipv6, e->remote_port));
	if (e->error == -2)
		printf("  the socket is closed");
	else if (e->error)
		printf("  the kernel did not take the socket (error %d)", (int)-e->error);
	putchar('\n');
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "netns", required_argument, NULL, 'N' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t first, last, pid, fd, zero = 0;
	const char *netns = NULL;
	ebpf_socket socket;
	bpf_events *ev;
	bpf_obj obj;
	bpf_map map;
	char **args, *dash;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'N': netns = optarg; break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	args = plugin_arguments(argc, argv, 3, 3, "FIRST-LAST, PID or FD");
	dash = strchr(args[0], '-');
	if (dash)
		*dash++ = 0;
	first = plugin_number("FIRST", args[0], 1, 65535);
	last = dash ? plugin_number("LAST", dash, first, 65535) : first;
	pid = plugin_number("PID", args[1], 1, INT32_MAX);
	fd = plugin_number("FD", args[2], 0, INT32_MAX);

	socket = bpf_open_socket((int32_t)pid, (int32_t)fd);
	if (bpf_err(socket))
		return plugin_failed();
	obj = bpf_open(object, object_len);
	if (bpf_set_u32(obj, "first", first) || bpf_set_u32(obj, "last", last) || bpf_load_opened(obj, 0) ||
	    !(ev = bpf_events_open(obj, "events")) || bpf_err(map = bpf_find_map(obj, "target")) ||
	    bpf_map_put(map, &zero, socket) || bpf_err(bpf_attach(obj, "steer", bpf_at(netns))))
		return plugin_failed();
	/* The map knows the socket now; whose it is does not matter any more. */
	bpf_close(socket);
	printf("%-8s %5s  %s\n", "TIME", "PORT", "REMOTE");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct portsteer_event), print);
}

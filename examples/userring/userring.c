/* SPDX-License-Identifier: Apache-2.0 */
/* userring: prints the start of commands, and tells its BPF program through a ring which ones. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "userring"
#include "../plugin.h"
#include "userring.h"

BPF_EMBED(object, "userring.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: userring [--once] [--count N] NAME...\n"
	"Prints the start of commands of these names.\n"
	"  -o, --once     each of them once: what was seen, the program in the kernel is told to forget\n"
	"  -n, --count N  stop after N lines\n"
	"  -h, --help     show this\n";

static bpf_map orders;
static int once;
static uint32_t left;		/* lines to go; 0 = no limit */
static uint32_t unseen;		/* names that were not seen yet */
static int failed;

/* Writes an order for the program into the ring. Returns 0 or a negative error. */
static int32_t order(uint32_t what, const char *name)
{
	struct userring_order o = { .what = what };

	snprintf(o.name, sizeof(o.name), "%s", name);
	return bpf_ring_write(orders, &o, sizeof(o));
}

static int print(void *record, uint32_t size)
{
	struct userring_event *e = record;
	char now[9], name[USERRING_NAME];

	(void)size;
	e->name[sizeof(e->name) - 1] = 0;
	memcpy(name, e->name, sizeof(name));
	printf("%-8s %7" PRIu32 " %s\n", plugin_clock(now), e->pid, plugin_text(e->name, sizeof(e->name)));
	if (once && order(USERRING_FORGET, name)) {
		failed = 1;
		return 1;
	}
	return (once && !--unseen) || (left && !--left);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "once", no_argument, NULL, 'o' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bpf_events *ev;
	bpf_obj obj;
	char **names;
	int c, code;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'o': once = 1; break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	names = plugin_arguments(argc, argv, 1, USERRING_NAMES, "a NAME");
	for (unseen = 0; names[unseen]; unseen++)
		plugin_name("NAME", "command", names[unseen]);
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || !(ev = bpf_events_open(obj, "events")) || bpf_err(orders = bpf_find_map(obj, "orders")))
		return plugin_failed();
	/* The orders lie in the ring until the program runs for the first time. */
	for (; *names; names++)
		if (order(USERRING_WATCH, *names))
			return plugin_failed();
	if (bpf_err(bpf_attach_all(obj)))
		return plugin_failed();
	printf("%-8s %7s %s\n", "TIME", "PID", "COMM");
	fflush(stdout);
	code = plugin_records(ev, sizeof(struct userring_event), print);
	return failed ? plugin_failed() : code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mapinmap: prints how often commands were started, a new table for each interval. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "mapinmap"
#include "../plugin.h"
#include "mapinmap.h"

BPF_EMBED(object, "mapinmap.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: mapinmap [--interval SECONDS] [--count N]\n"
	"Prints how often each command was started in an interval. Each interval has a table of its own in the kernel.\n"
	"  -i, --interval SECONDS  one table per so many seconds (default 1)\n"
	"  -n, --count N           stop after N tables\n"
	"  -h, --help              show this\n";

enum { MAP_TYPE_HASH = 1 };	/* the kernel's number */

/* Makes an empty table and puts it into the place of the one in use. Returns it, or a negative error. */
static bpf_map new_table(bpf_map current)
{
	uint32_t zero = 0;
	bpf_map table = bpf_map_make(MAP_TYPE_HASH, sizeof(struct mapinmap_command), sizeof(uint64_t),
				     MAPINMAP_COMMANDS, 0, "table");
	int32_t err = bpf_err(table) ? 0 : bpf_map_put(current, &zero, table);

	if (err)
		bpf_close(table);
	return err ? err : table;
}

/* Prints a table that no program writes to any more. Returns 0 or a negative error. */
static int32_t print_table(bpf_map table)
{
	bpf_walk *w = bpf_walk_open(table);
	struct mapinmap_command command;
	uint64_t count, sum = 0;
	const void *key;
	char now[9];
	int32_t err;

	plugin_clock(now);
	while ((key = bpf_walk_next(w))) {
		memcpy(&command, key, sizeof(command));
		memcpy(&count, bpf_walk_value(w), sizeof(count));
		sum += count;
		printf("%-8s %8" PRIu64 " %s\n", now, count, plugin_text(command.name, sizeof(command.name)));
	}
	printf("%-8s %8" PRIu64 " in all\n", now, sum);
	err = bpf_walk_err(w);
	bpf_walk_close(w);
	return err;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, left = 0;	/* tables to go; 0 = no limit */
	bpf_map current, table, next;
	bpf_obj obj;
	int c, stopped;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || bpf_err(current = bpf_find_map(obj, "current")) || bpf_err(table = new_table(current)) ||
	    bpf_err(bpf_attach_all(obj)))
		return plugin_failed();
	printf("%-8s %8s %s\n", "TIME", "STARTS", "COMM");
	fflush(stdout);
	do {
		stopped = plugin_sleep(interval);
		/* When the new table is there, no program that is still running has the old one. */
		if (bpf_err(next = new_table(current)) || print_table(table))
			return plugin_failed();
		bpf_close(table);
		table = next;
	} while (!plugin_flush() && !stopped && !(left && !--left));
	return plugin_flush() ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* share: one plugin counts the commands that start in a map, others open that map by name and show it. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "share"
#include "../plugin.h"
#include "share.h"

BPF_EMBED(object, "share.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: share write NAME\n"
	"       share read NAME [--interval SECONDS] [--count N]\n"
	"write counts the commands that start and shares the map as NAME; read opens that map and shows it.\n"
	"The map stays as long as one of them runs.\n"
	"  -i, --interval SECONDS  time between two tables (1)\n"
	"  -n, --count N           stop after N tables\n"
	"  -h, --help              show this\n";

static int write_counts(const char *name)
{
	bpf_obj o = bpf_load(object, object_len);
	bpf_map m;

	if (bpf_err(o) || bpf_err(m = bpf_find_map(o, "counts")) || bpf_err(bpf_share(m, name)) || bpf_err(bpf_attach_all(o)))
		return bpf_perror(PLUGIN), 1;
	printf("counting; shared as %s\n", name);
	plugin_flush();
	while (!plugin_sleep(3600))
		;
	return 0;
}

static int print_table(bpf_map m)
{
	bpf_walk *w = bpf_walk_open(m);
	const struct share_command *key;
	int32_t err;

	printf("%-8s COMMAND\n", "COUNT");
	while ((key = bpf_walk_next(w))) {
		struct share_command c = *key;
		uint64_t n;

		memcpy(&n, bpf_walk_value(w), sizeof(n));
		printf("%-8" PRIu64 " %s\n", n, plugin_text(c.comm, sizeof(c.comm)));
	}
	err = bpf_walk_err(w);
	bpf_walk_close(w);
	return err;
}

static int read_counts(const char *name, uint32_t interval, uint32_t count)
{
	bpf_map m = bpf_open_shared(name, EBPF_KIND_MAP);
	uint32_t i;

	if (bpf_err(m))
		return bpf_perror(PLUGIN), 1;
	for (i = 0; !count || i < count; i++) {
		if (i && plugin_sleep(interval))
			break;
		if (bpf_err(print_table(m)))
			return bpf_perror(PLUGIN), 1;
		if (plugin_flush())
			break;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t interval = 1, count = 0;
	char **args;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'i': interval = plugin_number("--interval", optarg, 1, 86400); break;
		case 'n': count = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	args = plugin_arguments(argc, argv, 2, 2, "write NAME or read NAME");
	if (!strcmp(args[0], "write"))
		return write_counts(args[1]);
	if (!strcmp(args[0], "read"))
		return read_counts(args[1], interval, count);
	plugin_wrong("\"%s\" is neither write nor read; see --help", args[0]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* runqlat: draws how long threads that could run waited for a CPU. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "runqlat"
#include "../plugin.h"
#include "runqlat.h"

BPF_EMBED(object, "runqlat.bpf.o");
BPF_MANIFEST("manifest.yaml");

#define BAR 40	/* columns */

static const char usage[] =
	"Usage: runqlat [--pid PID] [INTERVAL [COUNT]]\n"
	"Draws how long threads that could run waited for a CPU: every INTERVAL seconds, COUNT times.\n"
	"Without INTERVAL it draws once, when it is stopped.\n"
	"  -p, --pid PID  only the threads of this process\n"
	"  -h, --help     show this\n";

/* Draws the waits from before to now, from the first slot in use to the last. */
static void draw(const struct runqlat_histogram *before, const struct runqlat_histogram *now)
{
	uint64_t counts[RUNQLAT_SLOTS], most = 0, sum = 0;
	int i, first = RUNQLAT_SLOTS, end = 0, bar;
	char clock[9], from[12], to[16];

	for (i = 0; i < RUNQLAT_SLOTS; i++) {
		counts[i] = now->slots[i] - before->slots[i];
		sum += counts[i];
		if (!counts[i])
			continue;
		if (first > i)
			first = i;
		end = i + 1;
		if (most < counts[i])
			most = counts[i];
	}
	printf("\n%s  %" PRIu64 " waits\n", plugin_clock(clock), sum);
	if (!sum)
		return;
	printf("%24s : %-9s  %s\n", "MICROSECONDS", "COUNT", "DISTRIBUTION");
	for (i = first; i < end; i++) {
		snprintf(from, sizeof(from), "%" PRIu32, i ? 1u << i : 0);
		if (i == RUNQLAT_SLOTS - 1)
			snprintf(to, sizeof(to), "and more");
		else
			snprintf(to, sizeof(to), "-> %-10" PRIu32, (2u << i) - 1);
		/* A slot in use shows, however few it has. */
		bar = (int)((counts[i] * BAR + most - 1) / most);
		printf("%10s %-13s : %-9" PRIu64 " |%.*s%*s|\n", from, to, counts[i], bar,
		       "########################################", BAR - bar, "");
	}
}

/* Draws each interval. Returns 0, or a negative error. */
static int32_t watch(bpf_map map, uint32_t interval, uint32_t count)
{
	static struct runqlat_histogram histograms[2];
	uint32_t zero = 0, i;
	int32_t err = 0, stopped = 0;

	for (i = 0; !stopped && (!count || i < count); i++) {
		stopped = plugin_sleep(interval);
		err = bpf_map_lookup(map, &zero, &histograms[i % 2]);
		if (err)
			break;
		draw(&histograms[(i + 1) % 2], &histograms[i % 2]);
		if (plugin_flush())
			break;
	}
	return err;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const char *const programs[] = { "on_switch", "on_wakeup", "on_wakeup_new" };
	uint32_t pid = 0, interval = INT32_MAX, count = 0, i;
	bpf_obj obj;
	bpf_map map;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 2, NULL);
	if (argc - optind > 0)
		interval = plugin_number("INTERVAL", argv[optind], 1, 1000000);
	if (argc - optind > 1)
		count = plugin_number("COUNT", argv[optind + 1], 1, UINT32_MAX);

	obj = bpf_open(object, object_len);
	if (bpf_set_u32(obj, "target_pid", pid) || bpf_load_opened(obj, 0) || bpf_err(map = bpf_find_map(obj, "histogram")))
		return plugin_failed();
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (bpf_err(bpf_attach(obj, programs[i], bpf_at_section())))
			return plugin_failed();
	printf("Waits of threads for a CPU; stop with Ctrl-C.\n");
	fflush(stdout);
	if (watch(map, interval, count))
		return plugin_failed();
	return plugin_flush() ? 1 : 0;
}

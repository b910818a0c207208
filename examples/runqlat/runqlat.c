/* SPDX-License-Identifier: Apache-2.0 */
/* runqlat: draws how long threads that could run waited for a CPU. */
#include <wasm_bpf.h>
#define PLUGIN "runqlat"
#include "../plugin.h"
#include "runqlat.h"

BPF_EMBED(object, "runqlat.bpf.o");

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

/* Draws each interval. Returns 0, or a negative error number. */
static int32_t watch(int32_t map_fd, uint32_t interval, uint32_t count)
{
	static struct runqlat_histogram histograms[2];
	uint32_t zero = 0, i;
	int32_t err = 0, stopped = 0;

	for (i = 0; !stopped && (!count || i < count); i++) {
		stopped = plugin_sleep(interval);
		err = wasm_bpf_lookup(map_fd, &zero, &histograms[i % 2]);
		if (err < 0)
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
	wasm_bpf_object obj;
	int32_t map_fd, err;
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

	err = wasm_bpf_set_const(object, object_len, "target_pid", &pid, sizeof(pid));
	if (err < 0) {
		fprintf(stderr, "runqlat: cannot set target_pid: %s\n", wasm_bpf_strerror(err));
		return 1;
	}
	obj = wasm_bpf_load(object, object_len);
	if (!obj)
		return 1;
	map_fd = wasm_bpf_map(obj, "histogram");
	if (map_fd < 0)
		return 1;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (wasm_bpf_attach(obj, programs[i], NULL) < 0)
			return 1;
	printf("Waits of threads for a CPU; stop with Ctrl-C.\n");
	fflush(stdout);
	err = watch(map_fd, interval, count);
	if (err < 0)
		fprintf(stderr, "runqlat: read histogram: %s (error %d)\n", wasm_bpf_strerror(err), (int)-err);
	wasm_close_bpf_object(obj);
	return err < 0 || plugin_flush();
}

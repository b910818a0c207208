/* SPDX-License-Identifier: Apache-2.0 */
/* profile: samples what the CPUs run, and prints the stacks with their symbols, folded for flame graphs. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "profile"
#include "../plugin.h"
#include "profile.h"

BPF_EMBED(object, "profile.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: profile [--pid PID] [--frequency N] [--duration SECONDS] [--kernel | --user]\n"
	"Samples what the CPUs run and prints each stack with its number of samples, when it is stopped or the time is up.\n"
	"A line is a stack, outermost first, as the scripts for flame graphs take it; _[k] marks the kernel.\n"
	"  -p, --pid PID           only this process\n"
	"  -f, --frequency N       samples per second of each CPU (default 99)\n"
	"  -d, --duration SECONDS  how long\n"
	"  -k, --kernel            only the stacks in the kernel\n"
	"  -u, --user              only those in programs\n"
	"  -h, --help              show this\n";

/* A line of the output. */
struct line {
	char *stack;
	uint64_t samples;
};

static char text[64 * 1024];	/* the stack that is being written */
static uint32_t text_len;

/* Adds to the stack that is being written; what does not fit is cut. */
static void add(const char *s)
{
	while (*s && text_len < sizeof(text) - 1)
		text[text_len++] = *s++;
	text[text_len] = 0;
}

/* Reads the stack of this number. Returns how many frames it has. */
static int read_stack(bpf_map stacks, int32_t number, struct profile_stack *stack)
{
	uint32_t key = (uint32_t)number;
	int n = 0;

	if (number < 0 || bpf_map_lookup(stacks, &key, stack))
		return 0;
	while (n < PROFILE_DEPTH && stack->frames[n])
		n++;
	return n;
}

/* Adds a symbol as a frame. Only the file is known of some addresses: then it is [file]. */
static void add_frame(char *name, uint32_t size, int32_t len, int user)
{
	char *file, *s;

	if (len <= 0) {
		add(";[unknown]");
		return;
	}
	plugin_text(name, size);
	file = strchr(name, ' ');
	if (user && !file) {
		file = strrchr(name, '/');
		add(";[");
		add(file ? file + 1 : name);
		add("]");
		return;
	}
	/* The name without the file or module; ';' is what separates the frames. */
	if (file)
		*file = 0;
	for (s = name; *s; s++)
		if (*s == ';')
			*s = ':';
	add(";");
	add(name);
	if (!user)
		add("_[k]");
}

/* Writes a stack: the command, the frames of the program, those of the kernel. Returns a copy, NULL without memory. */
static char *write_stack(bpf_map stacks, struct profile_place *place, int kernel, int user)
{
	struct profile_stack stack;
	char name[512];
	int n;

	text_len = 0;
	add(plugin_text(place->comm, sizeof(place->comm)));
	n = user ? read_stack(stacks, place->user, &stack) : 0;
	while (n-- > 0)
		add_frame(name, sizeof(name),
			    bpf_symbolize_user((int32_t)place->pid, stack.frames[n], name, sizeof(name), NULL), 1);
	n = kernel ? read_stack(stacks, place->kernel, &stack) : 0;
	while (n-- > 0)
		add_frame(name, sizeof(name), bpf_symbolize(stack.frames[n], name, sizeof(name), NULL), 0);
	return strdup(text);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->stack, ((const struct line *)b)->stack);
}

/* Prints what was sampled. Returns the exit code. */
static int print_places(bpf_obj obj, int kernel, int user)
{
	bpf_map counts = bpf_find_map(obj, "counts"), stacks = bpf_find_map(obj, "stacks");
	static struct line lines[PROFILE_PLACES];
	const struct profile_place *key;
	struct profile_place place;
	uint64_t samples, dropped = 0;
	uint32_t n = 0, i;
	bpf_walk *w;

	if (bpf_err(counts) || bpf_err(stacks) || bpf_get(obj, "dropped", &dropped, sizeof(dropped)))
		return plugin_failed();
	w = bpf_walk_open(counts);
	for (; n < PROFILE_PLACES && (key = bpf_walk_next(w)); n++) {
		place = *key;
		memcpy(&lines[n].samples, bpf_walk_value(w), sizeof(uint64_t));
		lines[n].stack = write_stack(stacks, &place, kernel, user);
		if (!lines[n].stack) {
			fprintf(stderr, PLUGIN ": no memory for the stacks\n");
			return 1;
		}
	}
	if (bpf_walk_err(w))
		return plugin_failed();
	bpf_walk_close(w);
	/* Stacks that differ only in the places within functions are one. */
	qsort(lines, n, sizeof(*lines), compare);
	for (i = 0, samples = 0; i < n; i++) {
		samples += lines[i].samples;
		if (i + 1 < n && !compare(&lines[i], &lines[i + 1]))
			continue;
		printf("%s %" PRIu64 "\n", lines[i].stack, samples);
		samples = 0;
	}
	if (dropped)
		fprintf(stderr, PLUGIN ": %" PRIu64 " samples had no room\n", dropped);
	return plugin_flush() ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' }, { "frequency", required_argument, NULL, 'f' },
		{ "duration", required_argument, NULL, 'd' }, { "kernel", no_argument, NULL, 'k' },
		{ "user", no_argument, NULL, 'u' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint32_t pid = 0, frequency = 99, duration = INT32_MAX;
	int kernel = 1, user = 1, c;
	bpf_obj obj;
	bpf_link link;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'f': frequency = plugin_number("--frequency", optarg, 1, 10000); break;
		case 'd': duration = plugin_number("--duration", optarg, 1, 86400); break;
		case 'k': user = 0; break;
		case 'u': kernel = 0; break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	if (!kernel && !user)
		plugin_wrong("--kernel and --user exclude each other; see --help");
	obj = bpf_load(object, object_len);
	if (bpf_err(obj) || bpf_err(link = bpf_attach(obj, "sample", bpf_at_samples(frequency, (int32_t)pid))))
		return plugin_failed();
	fprintf(stderr, PLUGIN ": sampling\n");
	plugin_sleep(duration);
	/* No more samples: what is printed does not change meanwhile. */
	bpf_close(link);
	return print_places(obj, kernel, user);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* hostile: does one kind of harm, or tries to. It ends with 7 when it was kept from it by an error, which it prints. */
#include <inttypes.h>
#include <unistd.h>
#include <wasi_ebpf/bpf.h>
#include "witness.h"

BPF_EMBED(object, "hostile.bpf.o");

enum { KEPT = 7, DONE = 8 };

/* The host said no. */
static int kept(const char *what) { return bpf_perror(what), KEPT; }

/* Answers an opened object that loads one program only. */
static bpf_obj only(const char *program)
{
	static const char *const all[] = { "granted", "often", "reads_kernel", "writes_user", "lies" };
	bpf_obj obj = bpf_open(object, object_len);
	uint32_t i;

	if (bpf_err(obj))
		exit(kept("open"));
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (bpf_set_autoload(obj, all[i], !strcmp(all[i], program)))
			exit(kept("autoload"));
	return obj;
}

static int load(const char *program)
{
	bpf_obj obj = only(program);

	return bpf_load_opened(obj, 0) ? kept("load") : DONE;
}

/* ---- The processor and memory ---- */

static volatile uint64_t sink;

static int loop(void)
{
	for (;;)
		sink++;
}

static uint64_t (*volatile next)(uint64_t);

static uint64_t recurse_through_table(uint64_t n) { return n + next(n + 1) * 3; }

static __attribute__((noinline)) uint64_t recurse_directly(uint64_t n)
{
	return sink == n ? 0 : n + recurse_directly(n + 1) * 3;
}

static int recurse(void) { return (int)recurse_directly(1); }

static int recurse_table(void)
{
	next = recurse_through_table;
	return (int)next(1);
}

static int memory(void)
{
	uint64_t got = 0;
	char *volatile p;	/* no compiler takes it away */

	while ((p = malloc(1 << 20))) {
		memset(p, 1, 1 << 20);
		got++;
	}
	fprintf(stderr, "no more memory after %" PRIu64 " MiB\n", got);
	return KEPT;
}

/* Many short bursts, each of which ends with a call of the host: no single one is long. */
static int burn(void)
{
	uint32_t i, version;

	for (;;) {
		for (i = 0; i < 1000000; i++)
			sink++;
		ebpf_version(&version);
	}
}

/* ---- The kernel's memory and objects ---- */

static int map(void)
{
	bpf_map m = bpf_map_make(2, 4, 1 << 20, 1024, 0, "bomb");	/* 1 GiB */

	return bpf_err(m) ? kept("map of 1 GiB") : DONE;
}

static int maps(void)
{
	uint32_t n;

	for (n = 0;; n++)
		if (bpf_err(bpf_map_make(1, 4, 4096, 1024, 0, "bomb")))	/* 4 MiB */
			return kept("maps of 4 MiB");
}

static int links(void)
{
	bpf_obj obj = only("often");
	bpf_prog p;

	if (bpf_load_opened(obj, 0) || bpf_err(p = bpf_find_prog(obj, "often")))
		return kept("load");
	for (;;)
		if (bpf_err(bpf_attach_prog(p, bpf_at_section())))
			return kept("attach");
}

static int programs(void)
{
	for (;;)
		if (bpf_load_opened(only("granted"), 0))
			return kept("load");
}

static int rings(void)
{
	bpf_events *ev = bpf_events_new();
	bpf_map m;

	if (!ev)
		return kept("open");
	for (;;)
		if (bpf_err(m = bpf_map_make(27, 0, 0, 4096, 0, "ring")) || bpf_err(bpf_events_add(ev, m, NULL)))
			return kept("read a ring");
}

static int files(void)
{
	for (;;)
		if (bpf_err(bpf_open_file("/etc/passwd")))
			return kept("open");
}

/* Handles that need nothing of the kernel. */
static int handles(void)
{
	for (;;)
		if (bpf_err(bpf_open(object, object_len)))
			return kept("open");
}

/* ---- What was not granted ---- */

static int helper(void) { return load("reads_kernel"); }
static int writes(void) { return load("writes_user"); }
static int lies(void) { return load("lies"); }

/* The section names a tracepoint that is granted; it is attached to another. */
static int elsewhere(void)
{
	bpf_obj obj = only("granted");

	if (bpf_load_opened(obj, 0))
		return kept("load");
	return bpf_err(bpf_attach(obj, "granted", bpf_at_symbol("syscalls/sys_enter_write"))) ? kept("attach") : DONE;
}

/* The same as writes, from instructions made at run time, called harmless. */
static int harmless(void)
{
	static const uint64_t code[] = {
		0x00000000000001b7, 0x000000000000a2bf, 0xfffffff800000207, 0x00000008000003b7, 0x0000002400000085,
		0x00000000000000b7, 0x0000000000000095,
	};

	return bpf_err(bpf_make_prog("harmless", "tracepoint/syscalls/sys_enter_getpgid", "GPL", code, 7)) ? kept("load") : DONE;
}

/* Every number that could be a handle, as a map. */
static int guess(void)
{
	struct ebpf_map_info info;
	uint32_t n, found = 0, key = 0;
	uint64_t value;

	for (n = 0; n < 1 << 14; n++) {
		found += !bpf_map_describe((bpf_map)n, &info);
		found += !bpf_map_describe((bpf_map)(n << 16), &info);
		found += !bpf_map_lookup((bpf_map)n, &key, &value);
	}
	fprintf(stderr, "found %" PRIu32 " maps\n", found);
	return found ? DONE : KEPT;
}

static int steal(void)
{
	return bpf_err(bpf_open_shared("secrets", EBPF_KIND_MAP)) ? kept("open the map of another") : DONE;
}

/* ---- What others read ---- */

static int flood(void)
{
	for (;;)
		if (printf("a line of a flood\n") < 0 || fprintf(stderr, "another line\n") < 0)
			return KEPT;
}

/* One line without an end. */
static int line(void)
{
	for (;;)
		if (fputs("and so on, and so on, and so on, ", stderr) < 0)
			return KEPT;
}

/* Calls that the host answers with an error and a text, without end. */
static int refused(void)
{
	for (;;)
		ebpf_map_freeze(-1);
}

static int sleeps(void)
{
	for (;;)
		sleep(1000000);
}

static const struct {
	const char *name;
	int (*run)(void);
} harms[] = {
	{ "loop", loop }, { "recurse", recurse }, { "recurse-table", recurse_table }, { "memory", memory }, { "burn", burn },
	{ "map", map }, { "maps", maps }, { "links", links }, { "programs", programs }, { "rings", rings },
	{ "files", files }, { "handles", handles }, { "helper", helper }, { "writes", writes }, { "lies", lies },
	{ "elsewhere", elsewhere }, { "harmless", harmless }, { "guess", guess }, { "steal", steal }, { "flood", flood },
	{ "line", line }, { "refused", refused }, { "sleeps", sleeps },
};

/* Usage: hostile HARM */
int main(int argc, char **argv)
{
	uint32_t i;

	for (i = 0; argc == 2 && i < sizeof(harms) / sizeof(harms[0]); i++)
		if (!strcmp(argv[1], harms[i].name))
			return harms[i].run();
	fputs("hostile: what harm?\n", stderr);
	return 2;
}

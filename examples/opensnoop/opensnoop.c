/* SPDX-License-Identifier: Apache-2.0 */
/* opensnoop: prints each file that a process opens, or tries to. */
#include <wasi_ebpf/bpf.h>
#define PLUGIN "opensnoop"
#include "../plugin.h"
#include "opensnoop.h"

BPF_EMBED(object, "opensnoop.bpf.o");
BPF_MANIFEST("manifest.yaml");

static const char usage[] =
	"Usage: opensnoop [--pid PID] [--comm NAME] [--failed] [--count N]\n"
	"Prints each file that a process opens: the file descriptor or the error, and the path.\n"
	"  -p, --pid PID    only this process\n"
	"  -c, --comm NAME  only commands of this name\n"
	"  -x, --failed     only what could not be opened\n"
	"  -n, --count N    stop after N lines\n"
	"  -h, --help       show this\n";

static const char *only_comm;
static uint32_t left;	/* lines to go; 0 = no limit */

/* Linux error numbers that an open can give; those of WASI's <errno.h> are different. */
static const struct {
	int32_t number;
	char name[13];
} errors[] = {
	{ 1, "EPERM" }, { 2, "ENOENT" }, { 4, "EINTR" }, { 5, "EIO" }, { 6, "ENXIO" },
	{ 7, "E2BIG" }, { 9, "EBADF" }, { 11, "EAGAIN" }, { 12, "ENOMEM" }, { 13, "EACCES" },
	{ 14, "EFAULT" }, { 16, "EBUSY" }, { 17, "EEXIST" }, { 18, "EXDEV" }, { 19, "ENODEV" },
	{ 20, "ENOTDIR" }, { 21, "EISDIR" }, { 22, "EINVAL" }, { 23, "ENFILE" }, { 24, "EMFILE" },
	{ 26, "ETXTBSY" }, { 27, "EFBIG" }, { 28, "ENOSPC" }, { 30, "EROFS" }, { 36, "ENAMETOOLONG" },
	{ 40, "ELOOP" }, { 75, "EOVERFLOW" }, { 95, "EOPNOTSUPP" }, { 116, "ESTALE" }, { 122, "EDQUOT" },
};

/* Writes a result to buf: the file descriptor, or the name of the error. */
static const char *result_text(char buf[16], int32_t result)
{
	uint32_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].number == -result)
			return errors[i].name;
	snprintf(buf, 16, result < 0 ? "error %" PRId32 : "%" PRId32, result < 0 ? -result : result);
	return buf;
}

static int print(void *record, uint32_t size)
{
	struct opensnoop_event *e = record;
	char now[9], result[16];

	(void)size;
	plugin_text(e->comm, sizeof(e->comm));
	if (only_comm && strcmp(only_comm, e->comm))
		return 0;
	plugin_text(e->path, OPENSNOOP_PATH);
	printf("%-8s %7" PRIu32 " %-15s %12s  %s%s\n", plugin_clock(now), e->pid, e->comm,
	       result_text(result, e->result), e->path_size < 0 ? "(unreadable)" : e->path,
	       e->path_size > OPENSNOOP_PATH ? "..." : "");
	return left && !--left;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' }, { "comm", required_argument, NULL, 'c' },
		{ "failed", no_argument, NULL, 'x' }, { "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	/* Exits first, so that no path is kept that nobody fetches. */
	static const char *const programs[] = { "exit_openat", "exit_openat2", "enter_openat", "enter_openat2" };
	bpf_events *ev;
	bpf_obj obj;
	uint32_t pid = 0, failed = 0, i;
	int c;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'c': only_comm = plugin_name("--comm", "command", optarg); break;
		case 'x': failed = 1; break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	obj = bpf_open(object, object_len);
	if (bpf_set_u32(obj, "target_pid", pid) || bpf_set_u32(obj, "only_failed", failed) || bpf_load_opened(obj, 0) ||
	    !(ev = bpf_events_open(obj, "events")))
		return plugin_failed();
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (bpf_err(bpf_attach(obj, programs[i], bpf_at_section())))
			return plugin_failed();
	printf("%-8s %7s %-15s %12s  %s\n", "TIME", "PID", "COMM", "FD/ERROR", "PATH");
	fflush(stdout);
	return plugin_records(ev, sizeof(struct opensnoop_event), print);
}

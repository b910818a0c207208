/* SPDX-License-Identifier: Apache-2.0 */
/* opensnoop: prints each file that a process opens, or tries to. */
#include <wasm_bpf.h>
#define PLUGIN "opensnoop"
#include "../plugin.h"
#include "../opensnoop/opensnoop.h"

BPF_EMBED(object, "../opensnoop/opensnoop.bpf.o");

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

static int32_t print(void *ctx, void *data, int32_t size)
{
	struct opensnoop_event *e = data;
	char now[9], result[16];

	(void)ctx;
	if (size < (int32_t)sizeof(*e)) {
		fprintf(stderr, "opensnoop: record of %d bytes is too short\n", (int)size);
		return -WASM_BPF_EINVAL;
	}
	plugin_text(e->comm, sizeof(e->comm));
	if (only_comm && strcmp(only_comm, e->comm))
		return 0;
	plugin_text(e->path, OPENSNOOP_PATH);
	printf("%-8s %7" PRIu32 " %-15s %12s  %s%s\n", plugin_clock(now), e->pid, e->comm,
	       result_text(result, e->result), e->path_size < 0 ? "(unreadable)" : e->path,
	       e->path_size > OPENSNOOP_PATH ? "..." : "");
	return left && !--left ? WASM_BPF_DONE : 0;
}

static int32_t flush(void *ctx)
{
	(void)ctx;
	return plugin_flush() ? WASM_BPF_DONE : 0;
}

/* Sets a constant of the BPF object. Prints a line and returns -1 if it cannot. */
static int set(const char *name, uint32_t value)
{
	int err = wasm_bpf_set_const(object, object_len, name, &value, sizeof(value));

	if (err < 0)
		fprintf(stderr, "opensnoop: cannot set %s: %s\n", name, wasm_bpf_strerror(err));
	return err < 0 ? -1 : 0;
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
	static uint64_t buf[4096];
	struct wasm_bpf_loop loop = { .record = print, .batch = flush, .buf = buf, .size = sizeof(buf), .timeout_ms = -1 };
	uint32_t pid = 0, failed = 0, i;
	int c, err;

	while ((c = plugin_option(argc, argv, options, usage)) != -1) {
		switch (c) {
		case 'p': pid = plugin_number("--pid", optarg, 1, INT32_MAX); break;
		case 'c': only_comm = plugin_name("--comm", "command", optarg); break;
		case 'x': failed = 1; break;
		case 'n': left = plugin_number("--count", optarg, 1, UINT32_MAX); break;
		}
	}
	plugin_arguments(argc, argv, 0, 0, NULL);
	if (set("target_pid", pid) || set("only_failed", failed))
		return 1;
	loop.obj = wasm_bpf_load(object, object_len);
	if (!loop.obj)
		return 1;
	loop.map_fd = wasm_bpf_map(loop.obj, "events");
	if (loop.map_fd < 0)
		return 1;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (wasm_bpf_attach(loop.obj, programs[i], NULL) < 0)
			return 1;
	printf("%-8s %7s %-15s %12s  %s\n", "TIME", "PID", "COMM", "FD/ERROR", "PATH");
	fflush(stdout);
	err = wasm_bpf_poll_loop(&loop);
	if (err < 0)
		fprintf(stderr, "opensnoop: read events: %s (error %d)\n", wasm_bpf_strerror(err), -err);
	wasm_close_bpf_object(loop.obj);
	return err < 0 || plugin_flush();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls every function of wasi_ebpf/bpf.h on a real kernel and says which line went wrong. Arguments: a process with a
 * socket, the number of the socket there, an address of a function in the process.
 */
#include <inttypes.h>
#include <wasi_ebpf/bpf.h>

BPF_EMBED(object, "comfort.bpf.o");

struct record {
	uint32_t answer, length;
};

static const unsigned char frame[64] = "a frame that is long enough for every check of the kernel here";

/* Ends the guest unless two numbers are equal. */
#define SAME(got, want)                                                                                    \
	do {                                                                                               \
		int64_t g_ = (int64_t)(got), w_ = (int64_t)(want);                                         \
		char text_[512];                                                                           \
		if (g_ != w_) {                                                                            \
			fprintf(stderr, "line %d: %s is %" PRId64 ", want %" PRId64 "; last error: %s\n", __LINE__, #got, \
				g_, w_, bpf_error_text(text_, sizeof text_));                              \
			exit(1);                                                                           \
		}                                                                                          \
	} while (0)

#define TRUE(what) SAME(!!(what), 1)
#define GOOD(result) SAME(bpf_err(result), 0)

static bpf_obj load(void)
{
	bpf_obj o = bpf_open(object, object_len);
	uint32_t v = 0;

	GOOD(o);
	SAME(bpf_set_u32(o, "answer", 7), 0);
	SAME(bpf_set_u64(o, "runs", 100), 0);
	SAME(bpf_set_u16(o, "small", 3), 0);
	SAME(bpf_set_u8(o, "tiny", 0), 0);
	SAME(bpf_get(o, "answer", &v, sizeof v), 0);
	SAME(v, 7);
	SAME(bpf_set(o, "answer", &v, 2), -EBPF_EINVAL);
	SAME(bpf_set_map(o, "counts", EBPF_MAP_FIELD_MAX_ENTRIES, 4096), 0);
	SAME(bpf_load_opened(o, 0), 0);
	SAME(bpf_set_u32(o, "answer", 8), -EBPF_EROFS);
	return o;
}

static void errors(void)
{
	char text[64];

	SAME(bpf_need_version(0), 0);
	SAME(bpf_need_version(60000), -EBPF_ENOTSUP);
	SAME(bpf_load("no object", 9), -EBPF_ENOEXEC);
	TRUE(strlen(bpf_error_text(text, sizeof text)) > 0);
	SAME(strlen(bpf_error_text(text, 4)), 3);
	bpf_perror("this was expected");
	SAME(bpf_err(-EBPF_ENOEXEC), EBPF_ENOEXEC);
	SAME(bpf_close(-EBPF_ENOEXEC), 0);
	SAME(bpf_close(12345), -EBPF_EBADF);
}

static void handles(bpf_obj o, const char *share)
{
	bpf_map m = bpf_find_map(o, "counts"), same;
	struct ebpf_map_info a, b;

	GOOD(m);
	SAME(bpf_find_map(o, "nowhere"), -EBPF_ENOENT);
	SAME(bpf_find_prog(o, "nobody"), -EBPF_ENOENT);
	SAME(bpf_share(m, share), 0);
	same = bpf_open_shared(share, EBPF_KIND_MAP);
	GOOD(same);
	SAME(bpf_map_describe(m, &a), 0);
	SAME(bpf_map_describe(same, &b), 0);
	SAME(a.id, b.id);
	SAME(a.max_entries, 4096);
	SAME(bpf_open_shared("nothing-of-that-name", EBPF_KIND_MAP), -EBPF_ENOENT);
	/* Names that no pin can have: this test leaves nothing behind. */
	SAME(bpf_pin(m, "../pin"), -EBPF_EINVAL);
	SAME(bpf_open_pinned(".pin", EBPF_KIND_MAP), -EBPF_EINVAL);
	SAME(bpf_unpin(""), -EBPF_EINVAL);
	SAME(bpf_close(same), 0);
	SAME(bpf_close(m), 0);
}

static void maps(bpf_obj o, bpf_prog count)
{
	bpf_map m = bpf_find_map(o, "counts"), percpu = bpf_find_map(o, "percpu"), tails = bpf_find_map(o, "tails"),
		outer = bpf_find_map(o, "outer"), queue, inner;
	uint32_t key, n = 0, found, value = 5;
	uint64_t v, sum = 0;
	const uint32_t *k;
	bpf_walk *w;

	for (key = 0; key < 1000; key++) {
		v = key * 2;
		SAME(bpf_map_update(m, &key, &v, EBPF_UPDATE_NOEXIST), 0);
	}
	key = 9;
	SAME(bpf_map_update(m, &key, &v, EBPF_UPDATE_NOEXIST), -EBPF_EEXIST);
	SAME(bpf_map_lookup(m, &key, &v), 0);
	SAME(v, 18);
	for (w = bpf_walk_open(m); (k = bpf_walk_next(w)); n++) {
		v = *(const uint64_t *)bpf_walk_value(w);
		SAME(v, *k * 2);
		sum += v;
	}
	SAME(bpf_walk_err(w), 0);
	bpf_walk_close(w);
	SAME(n, 1000);
	SAME(sum, 999000);
	SAME(bpf_map_take(m, &key, &v), 0);
	SAME(bpf_map_delete(m, &key), -EBPF_ENOENT);
	for (n = 0, w = bpf_walk_take(m); bpf_walk_next(w); n++)
		;
	SAME(bpf_walk_err(w), 0);
	bpf_walk_close(w);
	SAME(n, 999);
	SAME(bpf_map_lookup(m, &key, &v), -EBPF_ENOENT);

	key = 1;
	v = 77;
	SAME(bpf_map_update_cpus(percpu, &key, &v), 0);
	for (n = 0; !bpf_map_lookup_cpu(percpu, &key, n, &v); n++)
		SAME(v, 77);
	SAME(n, bpf_cpus());
	for (n = 0, sum = 0, w = bpf_walk_open(percpu); (k = bpf_walk_next(w)); n++) {
		SAME(w->cpus, bpf_cpus());
		for (found = 0; found < w->cpus; found++)
			sum += *(const uint64_t *)bpf_walk_value_cpu(w, found);
	}
	SAME(bpf_walk_err(w), 0);
	bpf_walk_close(w);
	SAME(n, 4);
	SAME(sum, 77 * bpf_cpus());

	SAME(bpf_map_put(tails, &key, count), 0);
	SAME(bpf_map_put(tails, &key, m), -EBPF_EBADF);

	inner = bpf_map_make(2 /* array */, 4, 4, 1, 0, "inner");
	GOOD(inner);
	SAME(bpf_map_put(outer, &key, inner), 0);
	n = 0;
	SAME(bpf_map_update(inner, &n, &value, EBPF_UPDATE_ANY), 0);
	SAME(bpf_map_freeze(inner), 0);
	SAME(bpf_map_update(inner, &n, &value, EBPF_UPDATE_ANY), -EBPF_EPERM);
	bpf_close(inner);
	inner = bpf_map_inner(outer, &key);
	GOOD(inner);
	SAME(bpf_map_lookup(inner, &n, &found), 0);
	SAME(found, 5);
	bpf_close(inner);

	queue = bpf_map_make(22 /* queue */, 0, 4, 2, 0, "queue");
	GOOD(queue);
	SAME(bpf_map_push(queue, &value), 0);
	SAME(bpf_map_peek(queue, &found), 0);
	SAME(bpf_map_pop(queue, &found), 0);
	SAME(found, 5);
	SAME(bpf_map_pop(queue, &found), -EBPF_ENOENT);
	SAME(bpf_map_lookup(queue, &key, &v), -EBPF_EINVAL);
	bpf_close(queue);
}

static void events(bpf_obj o, bpf_prog count)
{
	bpf_events *ev = bpf_events_open(o, "rb"), *other;
	bpf_map rb = bpf_find_map(o, "rb"), requests = bpf_find_map(o, "requests");
	bpf_prog drain = bpf_find_prog(o, "drain");
	const struct record *r;
	uint32_t i, v = 20;

	TRUE(ev);
	for (i = 0; i < 3; i++)
		SAME(bpf_test_run(count, frame, sizeof frame, NULL, 0, 1, NULL), 2 /* XDP_PASS */);
	for (i = 0; i < 3; i++) {
		SAME(bpf_ready(ev), i > 0);
		r = bpf_next(ev, 1000);
		TRUE(r);
		SAME(bpf_ready(ev), i < 2);
		SAME(r->answer, 7);
		SAME(r->length, sizeof frame);
		SAME(ev->size, sizeof *r);
		SAME(ev->source, 0);
	}
	TRUE(!bpf_next(ev, 0));
	SAME(ev->err, 0);
	SAME(bpf_lost(ev), 0);
	/* A record that does not fit makes the reader's buffer grow. */
	ev->room = 8;
	SAME(bpf_test_run(count, frame, sizeof frame, NULL, 0, 1, NULL), 2);
	TRUE(bpf_next(ev, -1));
	TRUE(ev->room > 8);

	other = bpf_events_new();
	TRUE(other);
	SAME(bpf_events_add(other, rb, NULL), -EBPF_EBUSY);
	bpf_events_close(ev);
	SAME(bpf_events_add(other, rb, NULL), 0);
	bpf_events_close(other);
	TRUE(!bpf_events_open(o, "counts"));

	SAME(bpf_ring_write(requests, &v, sizeof v), 0);
	v = 22;
	SAME(bpf_ring_write(requests, &v, sizeof v), 0);
	SAME(bpf_test_run(drain, frame, sizeof frame, NULL, 0, 1, NULL), 42);
	SAME(bpf_ring_write(rb, &v, sizeof v), -EBPF_EINVAL);
}

static void programs(bpf_prog count)
{
	/* r0 = 1; exit */
	static const unsigned char drop[16] = { 0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95 };
	unsigned char out[sizeof frame];
	bpf_prog p = bpf_make_prog("drop", "xdp", "GPL", drop, 2);
	bpf_link l;
	uint64_t ns = 0;

	GOOD(p);
	SAME(bpf_test_run(p, frame, sizeof frame, out, sizeof out, 1000, &ns), 1 /* XDP_DROP */);
	SAME(memcmp(out, frame, sizeof frame), 0);
	TRUE(ns > 0);
	SAME(bpf_test_run(p, frame, sizeof frame, out, 10, 1, NULL), -EBPF_ENOSPC);
	SAME(bpf_make_prog("bad", "xdp", "GPL", drop + 8, 1), -EBPF_EACCES);

	l = bpf_attach_prog(count, bpf_at_xdp("lo", EBPF_XDP_GENERIC));
	GOOD(l);
	SAME(bpf_attach_prog(p, bpf_at("lo")), -EBPF_EBUSY);
	SAME(bpf_replace(l, p), 0);
	SAME(bpf_detach(l), 0);
	l = bpf_attach_prog(p, bpf_at("uplink")); /* a local name for lo */
	GOOD(l);
	bpf_close(l);
	SAME(bpf_attach_prog(p, bpf_at("nosuchdevice")), -EBPF_ENODEV);
	SAME(bpf_attach_prog(p, bpf_at_section()), -EBPF_EINVAL);
	bpf_close(p);
}

static void attaching(bpf_obj o, ebpf_socket socket)
{
	struct ebpf_target t = bpf_at_netfilter(EBPF_FAMILY_IPV6, EBPF_CHAIN_FORWARD, -100);
	bpf_map m = bpf_find_map(o, "counts");
	uint32_t key = 7; /* of the test runs */
	uint64_t v = 1;
	char text[64];
	ebpf_iter it;
	bpf_link l;

	SAME(t.family, EBPF_FAMILY_IPV6);
	SAME(t.chain, EBPF_CHAIN_FORWARD + 1);
	SAME(t.priority, -100);
	GOOD(bpf_attach(o, "enter", bpf_at_symbol("sys_enter")));
	GOOD(bpf_attach(o, "sample", bpf_at_samples(50, 0)));
	GOOD(bpf_attach(o, "ingress", bpf_at_direction("lo", EBPF_DIRECTION_INGRESS)));
	GOOD(bpf_attach(o, "filter", bpf_at_socket(socket)));
	GOOD(bpf_attach(o, "probe", bpf_at_user("libc.so.6", "getpid", 0)));
	SAME(bpf_attach(o, "nobody", bpf_at_section()), -EBPF_ENOENT);

	SAME(bpf_map_delete(m, &key), 0);
	key = 4711;
	SAME(bpf_map_update(m, &key, &v, EBPF_UPDATE_ANY), 0);
	l = bpf_attach(o, "dump", bpf_at_map(m));
	GOOD(l);
	it = bpf_iter_open(l);
	GOOD(it);
	memset(text, 0, sizeof text);
	SAME(bpf_iter_read(it, text, sizeof text - 1), 5);
	SAME(strcmp(text, "4711\n"), 0);
	SAME(bpf_iter_read(it, text, sizeof text - 1), 0);
	SAME(bpf_close(it), 0);
	SAME(bpf_close(l), 0);
	SAME(bpf_map_delete(m, &key), 0);
}

/* Attaches all that says where: here only enter, because all others are not loaded. */
static void attach_all(void)
{
	static const char *const others[] = { "count", "drain", "dump", "sample", "filter", "ingress", "probe" };
	bpf_obj o = bpf_load(object, object_len);
	bpf_map counts;
	uint8_t tiny = 0;
	unsigned i;

	GOOD(o);
	SAME(bpf_attach_all(o), -EBPF_EINVAL); /* count needs an interface */
	counts = bpf_find_map(o, "counts");
	GOOD(counts);

	bpf_obj p = bpf_open(object, object_len);
	GOOD(p);
	for (i = 0; i < sizeof others / sizeof *others; i++)
		SAME(bpf_set_autoload(p, others[i], 0), 0);
	SAME(bpf_set_attach_target(p, "enter", "sys_exit"), 0);
	SAME(bpf_replace_map(p, "counts", counts), 0);
	SAME(bpf_load_opened(p, EBPF_LOAD_LOG), 0);
	SAME(bpf_attach_all(p), 1);
	SAME(bpf_get(p, "tiny", &tiny, 1), 0);
	SAME(bpf_close(p), 0);
	SAME(bpf_close(o), 0);
}

static void kernel(bpf_obj o, int32_t pid, uint64_t address)
{
	struct ebpf_type_info type;
	char name[256];
	uint64_t at = 0, offset = 1, id = 0, v = 3;
	bpf_map tasks = bpf_find_map(o, "tasks");
	ebpf_process process = bpf_open_process(pid);
	ebpf_cgroup cgroup = bpf_open_cgroup(".");
	ebpf_file file = bpf_open_file("/");

	SAME(bpf_has(EBPF_PROBE_MAP, "ringbuf"), 1);
	SAME(bpf_has(EBPF_PROBE_PROGRAM, "xdp"), 1);
	SAME(bpf_has(EBPF_PROBE_MAP, "no such map"), -EBPF_ENOENT);
	TRUE(bpf_clock(EBPF_CLOCK_BOOTTIME) >= bpf_clock(EBPF_CLOCK_MONOTONIC) - 1000000000);
	SAME(bpf_clock(99), -EBPF_EINVAL);
	SAME(bpf_symbol("vfs_read", &at), 0);
	SAME(bpf_symbolize(at, name, sizeof name, &offset), 8);
	SAME(strcmp(name, "vfs_read"), 0);
	SAME(offset, 0);
	SAME(bpf_symbolize(at, name, 4, NULL), 8);
	SAME(strcmp(name, "vfs"), 0);
	SAME(bpf_symbol("no_such_symbol", &at), -EBPF_ENOENT);
	TRUE(bpf_symbolize_user(pid, address, name, sizeof name, &offset) > 0);
	SAME(bpf_symbolize_user(0x7fffffff, address, name, sizeof name, NULL), -EBPF_ESRCH);
	SAME(bpf_type("task_struct", "pid", &type), 0);
	SAME(type.size, 4);
	SAME(bpf_type("task_struct", NULL, &type), 0);
	TRUE(type.size > 1000);
	SAME(bpf_type("no_such_type", NULL, &type), -EBPF_ENOENT);
	SAME(bpf_interface_index("lo"), 1);
	SAME(bpf_interface_index("nosuchdevice"), -EBPF_ENODEV);
	SAME(bpf_cgroup_id(".", &id), 0);
	TRUE(id > 0);
	GOOD(process);
	GOOD(cgroup);
	GOOD(file);
	SAME(bpf_map_update(tasks, &process, &v, EBPF_UPDATE_ANY), 0);
	v = 0;
	SAME(bpf_map_lookup(tasks, &process, &v), 0);
	SAME(v, 3);
	SAME(bpf_map_update(tasks, &cgroup, &v, EBPF_UPDATE_ANY), -EBPF_EBADF);
	SAME(bpf_close(process), 0);
	SAME(bpf_close(cgroup), 0);
	SAME(bpf_close(file), 0);
}

int main(int argc, char **argv)
{
	ebpf_socket socket;
	uint64_t runs = 0;
	bpf_prog count;
	bpf_obj o;

	if (argc != 4)
		return 2;
	errors();
	o = load();
	count = bpf_find_prog(o, "count");
	GOOD(count);
	socket = bpf_open_socket(atoi(argv[1]), atoi(argv[2]));
	GOOD(socket);
	handles(o, "comfort-test");
	maps(o, count);
	events(o, count);
	SAME(bpf_get(o, "runs", &runs, sizeof runs), 0);
	SAME(runs, 104);
	programs(count);
	attaching(o, socket);
	attach_all();
	kernel(o, atoi(argv[1]), strtoull(argv[3], NULL, 16));
	SAME(bpf_close(o), 0);
	puts("all is well");
	return 0;
}

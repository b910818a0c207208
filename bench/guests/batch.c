/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot paths of wasi_ebpf, timed inside the guest. It says "ready", and then answers each line:
 *	next ROOM	drain a full ring with bpf_next and a buffer of ROOM bytes: "COUNT NANOSECONDS"
 *	raw ROOM	the same with events_read
 *	map		"OPERATIONS LOOKUP_NS UPDATE_NS"
 *	entries		read the whole hash with bpf_walk: "ENTRIES NANOSECONDS"
 *	call		"CALLS NANOSECONDS" of a host function that does nothing
 */
#include <inttypes.h>
#include <time.h>
#include <wasi_ebpf/bpf.h>

BPF_EMBED(object, "batch.bpf.o");

#define OPERATIONS 1024
#define ENTRIES 1024

static uint64_t sum;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t drain_next(bpf_events *ev)
{
	uint64_t n = 0;

	for (const uint64_t *record; (record = bpf_next(ev, 0)); n++)
		sum += record[0] ^ record[1];
	return n;
}

static uint64_t drain_raw(ebpf_events ev, char *buf, uint32_t room)
{
	uint64_t n = 0;
	struct ebpf_batch batch;

	for (;;) {
		if (ebpf_events_read(ev, buf, room, 0, &batch, sizeof(batch)) || !batch.records)
			return n;
		for (char *at = buf, *end = buf + batch.bytes; at < end; n++) {
			const struct ebpf_frame *f = (const void *)at;
			const uint64_t *record = (const void *)(f + 1);

			sum += record[0] ^ record[1];
			at += sizeof(*f) + ((f->size + 7) & ~7u);
		}
	}
}

static int maps(bpf_map hash)
{
	uint64_t t0 = now(), t1, t2, value;

	for (uint64_t i = 0; i < OPERATIONS; i++)
		if (bpf_map_update(hash, &(uint64_t){ i % ENTRIES }, &i, EBPF_UPDATE_ANY))
			return 1;
	t1 = now();
	for (uint64_t i = 0; i < OPERATIONS; i++)
		if (bpf_map_lookup(hash, &(uint64_t){ i % ENTRIES }, &value))
			return 1;
	t2 = now();
	printf("%d %" PRIu64 " %" PRIu64 "\n", OPERATIONS, t2 - t1, t1 - t0);
	return 0;
}

static int entries(bpf_map hash)
{
	uint64_t n = 0, t0 = now();
	bpf_walk *w = bpf_walk_open(hash);

	for (const uint64_t *key; (key = bpf_walk_next(w)); n++)
		sum += *key ^ *(const uint64_t *)bpf_walk_value(w);
	printf("%" PRIu64 " %" PRIu64 "\n", n, now() - t0);
	bpf_walk_close(w);
	return 0;
}

static int call(void)
{
	uint32_t version;
	uint64_t t0 = now();

	for (int i = 0; i < OPERATIONS; i++)
		if (ebpf_version(&version))
			return 1;
	printf("%d %" PRIu64 "\n", OPERATIONS, now() - t0);
	return 0;
}

int main(void)
{
	char line[32];
	bpf_obj obj = bpf_load(object, object_len);
	bpf_map hash = bpf_err(obj) ? obj : bpf_find_map(obj, "hash");
	bpf_events *ev = bpf_err(obj) ? NULL : bpf_events_open(obj, "ring");
	uint64_t t0, n;

	if (!ev || bpf_err(hash) || bpf_err(bpf_attach(obj, "fill", bpf_at_section()))) {
		bpf_perror("batch");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		const char *room = strchr(line, ' ');

		if (room) {
			free(ev->buf);
			ev->room = (uint32_t)strtoul(room, NULL, 10);
			ev->buf = malloc(ev->room);
			if (!ev->buf)
				return 1;
			t0 = now();
			n = line[0] == 'n' ? drain_next(ev) : drain_raw(ev->handle, ev->buf, ev->room);
			printf("%" PRIu64 " %" PRIu64 "\n", n, now() - t0);
		} else if (line[0] == 'm' ? maps(hash) : line[0] == 'e' ? entries(hash) : call()) {
			return 1;
		}
		fflush(stdout);
	}
	return sum == 1; /* so that it is not left out */
}

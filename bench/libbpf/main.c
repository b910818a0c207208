/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native C peer of bench/guests/batch.c, on libbpf: "libbpf drain OBJECT" says "ready", and then answers each line:
 *	drain		drain a full ring: "COUNT NANOSECONDS"
 *	map		"OPERATIONS LOOKUP_NS UPDATE_NS"
 *	entries		read the whole hash in batches: "ENTRIES NANOSECONDS"
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define OPERATIONS 1024
#define ENTRIES 1024
#define BATCH 256	/* as bpf_walk */

static uint64_t sum;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int record(void *ctx, void *data, size_t size)
{
	const uint64_t *r = data;

	(void)ctx;
	(void)size;
	sum += r[0] ^ r[1];
	return 0;
}

static int drain(struct ring_buffer *rb)
{
	uint64_t t0 = now();
	int n = ring_buffer__consume(rb);

	printf("%d %lu\n", n, now() - t0);
	return n < 0;
}

static int maps(int hash)
{
	uint64_t t0 = now(), t1, t2, value;

	for (uint64_t i = 0; i < OPERATIONS; i++)
		if (bpf_map_update_elem(hash, &(uint64_t){ i % ENTRIES }, &i, BPF_ANY))
			return 1;
	t1 = now();
	for (uint64_t i = 0; i < OPERATIONS; i++)
		if (bpf_map_lookup_elem(hash, &(uint64_t){ i % ENTRIES }, &value))
			return 1;
	t2 = now();
	printf("%d %lu %lu\n", OPERATIONS, t2 - t1, t1 - t0);
	return 0;
}

static int entries(int hash)
{
	static uint64_t keys[BATCH], values[BATCH];
	uint64_t n = 0, t0 = now();
	uint32_t cursor, next, count;
	void *in = NULL;
	int err;

	do {
		count = BATCH;
		err = bpf_map_lookup_batch(hash, in, &next, keys, values, &count, NULL);
		if (err && err != -2)	/* ENOENT: these are the last */
			return 1;
		for (uint32_t i = 0; i < count; i++)
			sum += keys[i] ^ values[i];
		n += count;
		cursor = next;
		in = &cursor;
	} while (!err);
	printf("%lu %lu\n", n, now() - t0);
	return 0;
}

int main(int argc, char **argv)
{
	char line[32];
	struct bpf_object *obj = argc == 3 ? bpf_object__open_file(argv[2], NULL) : NULL;
	struct bpf_program *prog;
	struct ring_buffer *rb;
	int hash, err = 0;

	if (!obj || bpf_object__load(obj)) {
		fprintf(stderr, "usage: libbpf drain OBJECT\n");
		return 1;
	}
	bpf_object__for_each_program(prog, obj)
		if (!bpf_program__attach(prog))
			return 1;
	rb = ring_buffer__new(bpf_object__find_map_fd_by_name(obj, "ring"), record, NULL, NULL);
	hash = bpf_object__find_map_fd_by_name(obj, "hash");
	if (!rb || hash < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (!err && fgets(line, sizeof(line), stdin)) {
		err = line[0] == 'd' ? drain(rb) : line[0] == 'm' ? maps(hash) : entries(hash);
		fflush(stdout);
	}
	ring_buffer__free(rb);
	bpf_object__close(obj);
	return err || sum == 1;	/* the sum, so that it is not left out */
}

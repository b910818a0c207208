/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drains a full ring when a line comes in, and times map operations: "ready", then for each line
 * "drain" a line "COUNT NANOSECONDS", and for each "map" a line "OPERATIONS LOOKUP_NS UPDATE_NS".
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <wasm_bpf.h>

#ifndef OBJECT
#define OBJECT "drain.bpf.o"
#endif
BPF_EMBED(object, OBJECT);

#define OPERATIONS 1024
#ifndef ENTRIES
#define ENTRIES 512
#endif

static uint64_t sum;

static int32_t record(void *ctx, void *data, int32_t size)
{
	(void)ctx;
	(void)size;
	sum += ((uint64_t *)data)[0] ^ ((uint64_t *)data)[1];
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(void)
{
	static uint64_t buf[64];
	char line[16];
	wasm_bpf_object obj = wasm_bpf_load(object, object_len);
	int32_t ring, hash, n, more;
	uint64_t t0, t1, t2, i;

	if (!obj)
		return 1;
	ring = wasm_bpf_map(obj, "ring");
	hash = wasm_bpf_map(obj, "hash");
	if (ring < 0 || hash < 0 || wasm_bpf_attach(obj, "fill", NULL) < 0)
		return 1;
	wasm_bpf_buffer_poll(obj, ring, record, NULL, buf, sizeof(buf), 0);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		t0 = now();
		if (line[0] == 'd') {
			n = 0;
			while ((more = wasm_bpf_buffer_poll(obj, ring, record, NULL, buf, sizeof(buf), 0)) > 0)
				n += more;
			printf("%d %" PRIu64 "\n", (int)n, now() - t0);
		} else {
			for (i = 0; i < OPERATIONS; i++)
				if (wasm_bpf_update(hash, &(uint64_t){ i % ENTRIES }, &i))
					return 1;
			t1 = now();
			for (i = 0; i < OPERATIONS; i++)
				if (wasm_bpf_lookup(hash, &(uint64_t){ i % ENTRIES }, buf))
					return 1;
			t2 = now();
			printf("%d %" PRIu64 " %" PRIu64 "\n", OPERATIONS, t2 - t1, t1 - t0);
		}
		fflush(stdout);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* witness: copies the records of its ring buffer to standard output, at once, and shares a map. */
#include <inttypes.h>
#include <wasi_ebpf/bpf.h>
#include "witness.h"

BPF_EMBED(object, "witness.bpf.o");

static int failed(void) { return bpf_perror("witness"), 1; }

/* Usage: witness MARK */
int main(int argc, char **argv)
{
	bpf_obj obj = bpf_open(object, object_len);
	uint32_t zero = 0;
	uint64_t secret = 0x5ec2e7;
	bpf_events *ev;
	bpf_map map;
	void *e;

	if (argc != 2 || bpf_err(obj) || bpf_err(bpf_set_u32(obj, "mark", (uint32_t)atoi(argv[1]))) ||
	    bpf_err(bpf_load_opened(obj, 0)) || !(ev = bpf_events_open(obj, "events")))
		return failed();
	map = bpf_find_map(obj, "secrets");
	if (bpf_err(map) || bpf_err(bpf_map_update(map, &zero, &secret, EBPF_UPDATE_ANY)) ||
	    bpf_err(bpf_share(map, "secrets")) || bpf_err(bpf_attach_all(obj)))
		return failed();
	fputs("ready\n", stderr);
	while ((e = bpf_next(ev, -1))) {
		fwrite(e, ev->size, 1, stdout);
		if (!bpf_ready(ev) && fflush(stdout))
			return 1;
	}
	if (bpf_lost(ev))
		fprintf(stderr, "%" PRIu64 " records were lost\n", bpf_lost(ev));
	return ev->err == -EBPF_EINTR ? 0 : failed();
}

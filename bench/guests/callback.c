/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c on the 64-byte records of batch.bpf.c: the callback form beside the batches of wasi_ebpf. */
#define OBJECT "batch.bpf.o"
#define ENTRIES 1024
#include "drain.c"

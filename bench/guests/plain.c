/* SPDX-License-Identifier: Apache-2.0 */
/* Attaches plain.bpf.o, says "ready", and ends. */
#include <wasm_bpf.h>

BPF_EMBED(object, "plain.bpf.o");

int main(void)
{
	wasm_bpf_object obj = wasm_bpf_load(object, object_len);

	if (!obj || wasm_bpf_attach(obj, "on_exec", NULL) < 0)
		return 1;
	puts("ready");
	return fflush(stdout);
}

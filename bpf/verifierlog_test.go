package bpf

import (
	"strings"
	"testing"
)

// What Linux 7.3 and what older ones write about the same program.
const (
	verifierLogOld = `0: R1=ctx() R10=fp0
; return *(__u8 *)(long)ctx->data; /* without a check */ @ refused.bpf.c:20
0: (61) r1 = *(u32 *)(r1 +0)          ; R1=pkt(r=0)
1: (71) r0 = *(u8 *)(r1 +0)
invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)
R1 min value is outside of the allowed memory range
`
	verifierLogExplained = `
Verification failed: Memory Safety: Access outside bounds

Reason:
  The verifier cannot prove offset + access_size <= object_size. R1 is pkt; offset is constant 0;

At:
  bounds @ refused.bpf.c:20:9
  >>> 20 |         return *(__u8 *)(long)ctx->data; /* without a check */
         |         ^-- error: access may be outside object bounds

Suggestion:
  Add or adjust a bounds check that proves offset + access_size stays within the object.

`
	verifierLogEnd = "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0"
)

func TestReasonIsFoundInEveryKernelsLog(t *testing.T) {
	for _, log := range []string{verifierLogOld + verifierLogEnd, verifierLogOld + verifierLogExplained + verifierLogEnd} {
		reason, where := verifierReason(strings.Split(log, "\n"))
		if want := "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0); R1 min value is outside of the allowed memory range"; reason != want {
			t.Errorf("got %q, want %q", reason, want)
		}
		if want := "instruction 1: (71) r0 = *(u8 *)(r1 +0) (return *(__u8 *)(long)ctx->data; /* without a check */ @ refused.bpf.c:20)"; where != want {
			t.Errorf("got %q, want %q", where, want)
		}
	}
}

package bpf

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestKprobeRunsOrSaysWhyNot(t *testing.T) {
	for _, name := range []string{"kp", "kpret", "ksys", "kp_multi"} {
		t.Run(name, func(t *testing.T) {
			o, p, err := tryLoadHook(t, "trace", name)
			if err == nil && kernel.Kprobes() != nil {
				_, err = o.Attach(p, Target{})
			}
			if why := kernel.Kprobes(); why != nil {
				wantError(t, err, ErrUnsupported, "kprobe")
				kerneltest.CoversProgram(t, ebpf.Kprobe)
				kerneltest.SkipIfUnsupported(t, err)
			}
			if err != nil {
				t.Fatal(err)
			}
			target := Target{}
			if name == "kp" || name == "kpret" {
				target.Symbol = "__x64_sys_getpgid"
			}
			if name == "kp_multi" {
				target.Symbol = "__x64_sys_getpg*"
			}
			checkRuns(t, mustAttach(t, p, target), getpgid)
		})
	}
}

func TestFunctionsMatchPatterns(t *testing.T) {
	list := []byte("tcp_a\ntcp_b [mod]\nudp_a\ntcp_a\n__ftrace_invalid_address___1\n")
	got, err := matchFunctions(list, "tcp_*")
	if err != nil || len(got) != 2 || got[0] != "tcp_a" || got[1] != "tcp_b" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = matchFunctions(list, "xyz*")
	wantError(t, err, ErrTarget, "no function fits")
	_, err = matchFunctions(list, "[")
	wantError(t, err, ErrTarget, "pattern")
}

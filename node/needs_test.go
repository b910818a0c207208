package node

import (
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// rightsOf are rights with some grants.
func rightsOf(t *testing.T, grants ...string) *policy.Rights {
	t.Helper()
	lines, err := policy.Lines("--allow", grants...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := policy.Effective(nil, policy.Plugin{Name: "p"}, lines)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// usesBPF is a module that imports a function of wasi_ebpf.
func usesBPF(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../examples/execsnoop/execsnoop.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryWordOfAPolicySaysWhatItNeeds(t *testing.T) {
	words := policy.Words()
	for _, w := range words {
		if _, ok := needs[w]; !ok {
			t.Errorf("what the host needs for %q is not in the table", w)
		}
	}
	for w := range needs {
		if !slices.Contains(words, w) {
			t.Errorf("the table has %q, which is no word of a policy", w)
		}
	}
}

// Whatever types of programs and maps a grant includes can be loaded with what the host keeps for it.
func TestGrantsKeepWhatTheirTypesTake(t *testing.T) {
	wasm := usesBPF(t)
	for _, w := range policy.Words() {
		grant := w
		switch w {
		case "prog", "map":
			grant = w + ":*"
		case "kfunc":
			grant = "kfunc:bpf_x"
		case "helper":
			grant = "helper:bpf_probe_read_kernel"
		case "dir":
			grant = "dir:/tmp"
		}
		rights := rightsOf(t, grant)
		caps := requires(rights, wasm, nil).caps
		if more := caps &^ MostCapabilities(); more != 0 {
			t.Errorf("%s needs %s, which is more than the most", grant, more)
		}
		for i, name := range abi.ProgramTypes() {
			if rights.Check(policy.Action{Kind: policy.Load, Name: name}) == nil {
				checkKept(t, grant, name, caps, kernel.ProgramCaps(ebpf.ProgramType(i)))
			}
		}
		for i, name := range abi.MapTypes() {
			if rights.Check(policy.Action{Kind: policy.Map, Name: name}) == nil {
				checkKept(t, grant, name, caps, kernel.MapCaps(ebpf.MapType(i)))
			}
		}
	}
}

func checkKept(t *testing.T, grant, typ string, have kernel.CapSet, want []kernel.Cap) {
	t.Helper()
	if missing := have.Missing(want...); len(missing) > 0 {
		t.Errorf("%s includes %s, for which the host lacks %v", grant, typ, missing)
	}
}

func TestAPlainProgramNeedsNoCapability(t *testing.T) {
	plain := []byte("\x00asm\x01\x00\x00\x00")
	everything := rightsOf(t, "all")
	if r := requires(everything, plain, nil); r.caps != 0 || r.processes != "" {
		t.Errorf("a module that imports nothing needs %s, looks into processes for %q", r.caps, r.processes)
	}
	r := requires(everything, plain, []engine.Dir{{Host: "/a"}, {Host: "/b", Write: true}})
	for _, want := range []confine.Path{{Name: "/a"}, {Name: "/b", Write: true}} {
		if !slices.Contains(r.paths, want) {
			t.Errorf("%+v is not among %+v", want, r.paths)
		}
	}
}

func TestWhatLooksIntoProcessesKeepsFilesOpen(t *testing.T) {
	wasm := usesBPF(t)
	for grant, want := range map[string]string{
		"tracepoint": "", "uprobe:/bin/sh:main": "uprobe", "process-symbols": "process-symbols", "sk_lookup@.": "", "sk_lookup@/run/netns/x": "",
		"sk_lookup": "sk_lookup", "sk_lookup@/proc/1/ns/net": "sk_lookup", "xdp": "", "file:/etc/*": "",
	} {
		if got := requires(rightsOf(t, grant), wasm, nil).processes; (got == "") != (want == "") {
			t.Errorf("%s: looks into processes for %q, want %q", grant, got, want)
		}
	}
}

func TestPathsAboveAPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"/run/netns/x": "/run/netns/x", "/run/netns/*": "/run/netns", "/a/b?/c*": "/a", "/*": "/", "*": "/", "/a/b*": "/a", "": "/",
	} {
		if got := above(pattern); got != want {
			t.Errorf("above(%q) = %q, want %q", pattern, got, want)
		}
	}
}

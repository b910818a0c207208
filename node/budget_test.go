package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// guest stands for a guest that imports both modules: only its memory is looked at.
type guest struct {
	engine.Instance
	memory []byte
}

func (g *guest) Memory() []byte { return g.memory }

// What a guest loads through wasm_bpf counts in wasi_ebpf, too.
func TestModulesOfAGuestHaveOneBudget(t *testing.T) {
	kerneltest.RequireRoot(t)
	elf, err := os.ReadFile("../hostfuncs/wasmbpf/testdata/puppet.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	rights, err := policy.Effective(nil, policy.Plugin{}, policy.Everything())
	if err != nil {
		t.Fatal(err)
	}
	opts := RunOptions{Limits: policy.Limits{Programs: 15}} // it has 9
	var reported string
	env := engine.Env{
		Name: "plugin", Log: func(string) {}, Note: func(string, error) {},
		Report: func(step string, err error) {
			if err != nil {
				reported += step + ": " + err.Error()
			}
		},
	}
	calls := map[string]engine.HostFunc{}
	for _, p := range providers(newGuard(opts, rights, "plugin", nil, newTalk(nil, "plugin", false)).session(opts)) {
		b, err := p.Bind(env)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		for _, imp := range p.Offers() {
			calls[imp.Name] = b.Func(imp)
		}
	}
	const at, out, text = 4096, 1024, 2048
	g := &guest{memory: make([]byte, at+len(elf))}
	copy(g.memory[at:], elf)
	call := func(name string, args ...uint64) uint64 {
		t.Helper()
		stack := append(args, 0)
		if err := calls[name].Call(context.Background(), g, stack); err != nil {
			t.Fatal(err)
		}
		return stack[0]
	}
	object := func() uint64 {
		t.Helper()
		if no := call("object_open", at, uint64(len(elf)), out); no != 0 {
			t.Fatalf("object_open: %d", no)
		}
		return uint64(binary.LittleEndian.Uint32(g.memory[out:]))
	}
	first := call("wasm_load_bpf_object", at, uint64(len(elf)))
	if first == 0 {
		t.Fatalf("load through wasm_bpf: %s", reported)
	}
	second := object()
	if no := call("object_load", second, 0); no != uint64(abi.NOMEM) {
		t.Errorf("18 programs of 15: errno %d, want NOMEM", no)
	}
	call("last_error", text, 1024, out)
	if got := g.memory[text:][:1024]; !bytes.Contains(got, []byte(`9 of 15 programs`)) {
		t.Errorf("last_error: %s", got)
	}
	call("wasm_close_bpf_object", first)
	if no := call("object_load", second, 0); no != 0 {
		t.Errorf("object_load after the other one was closed: errno %d", no)
	}
	if got := call("wasm_load_bpf_object", at, uint64(len(elf))); got != 0 || !strings.Contains(reported, "9 of 15 programs") {
		t.Errorf("loaded %d through wasm_bpf beyond the limit; %q", got, reported)
	}
}

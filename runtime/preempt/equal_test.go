package preempt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

// trace is what can be seen of a module from outside when all its functions are
// called in turn, or the error that ended it early.
func trace(h *host, wasm []byte) (log string, memory []byte, err error) {
	ctx := context.Background()
	c, err := h.CompileModule(ctx, wasm)
	if err != nil {
		return "", nil, err
	}
	defer c.Close(ctx)
	m, err := h.InstantiateModule(ctx, c, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return "", nil, err
	}
	defer m.Close(ctx)
	var b bytes.Buffer
	for i := range 16 {
		f := m.ExportedFunction(fmt.Sprintf("f%d", i))
		if f == nil {
			break
		}
		args := make([]uint64, len(f.Definition().ParamTypes()))
		for j := range args {
			args[j] = uint64(i*13 + j*29)
		}
		got, err := f.Call(ctx, args...)
		if errors.Is(err, errStopped) || errors.Is(err, errOverflow) {
			return "", nil, err
		}
		first := ""
		if err != nil {
			first, _, _ = strings.Cut(err.Error(), "\n")
		}
		fmt.Fprintln(&b, i, got, first)
	}
	if g := m.ExportedGlobal("g"); g != nil {
		fmt.Fprintln(&b, "global", g.Get())
		err = checkUsed(ctx, h, m, genSteps-int64(g.Get()), b.String())
	}
	for name := range c.ExportedMemories() {
		mem := m.ExportedMemory(name)
		memory, _ = mem.Read(0, mem.Size())
		memory = bytes.Clone(memory)
	}
	return b.String(), memory, err
}

// checkUsed tells whether a generated module was charged for its steps.
func checkUsed(ctx context.Context, h *host, m api.Module, steps int64, log string) error {
	left := m.ExportedFunction(preempt.ExportLeft)
	if left == nil || !h.counting || strings.Contains(log, "wasm error") {
		return nil // what a function has counted is lost when it traps
	}
	got, err := left.Call(ctx)
	if err != nil {
		return err
	}
	h.settle(got[0])
	if h.used < steps/2-20 {
		return fmt.Errorf("%w: %d units for %d steps", errUncounted, h.used, steps)
	}
	return nil
}

var errUncounted = errors.New("work was not counted")

// compile compiles a module. wazero panics at some that are not valid, which counts
// as an error here.
func compile(h *host, wasm []byte) (c wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the engine panics: %v", p)
		}
	}()
	return h.CompileModule(context.Background(), wasm)
}

// withoutNames drops name sections: wazero allocates what they announce.
func withoutNames(wasm []byte) []byte {
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return wasm
	}
	out := bytes.Clone(wasm[:8])
	from := uint64(8)
	for _, s := range f.Sections {
		end := s.Offset + uint64(len(s.Bytes))
		if s.ID != wasmfile.SectionCustom || s.Name != "name" {
			out = append(out, wasm[from:end]...)
		}
		from = end
	}
	return out
}

// checkAlike compares a module with its rewritten form: accepted by the engine
// alike, and behaving alike if the rewritten form ends within some yields.
func checkAlike(t *testing.T, h *host, wasm []byte, interval uint64) {
	t.Helper()
	ctx := context.Background()
	out, err := preempt.Rewrite(wasm, deep)
	if errors.Is(err, wasmfile.ErrMalformed) {
		return // TestSpecification has those; wazero allocates what a damaged section announces, perhaps gigabytes
	}
	c, wantErr := compile(h, withoutNames(wasm))
	if wantErr == nil {
		defer c.Close(ctx)
	}
	if err != nil {
		if wantErr == nil && !errors.Is(err, preempt.ErrReserved) {
			t.Fatalf("the engine accepts what the rewriter refuses: %v", err)
		}
		return
	}
	again, err := preempt.Rewrite(wasm, deep)
	if err != nil || !bytes.Equal(out, again) {
		t.Fatalf("two runs differ: %v", err)
	}
	r, err := compile(h, out)
	if err == nil {
		defer r.Close(ctx)
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("rewritten: %v; original: %v", err, wantErr)
	}
	if err != nil || len(c.ImportedFunctions()) > 0 || len(c.ImportedMemories()) > 0 {
		return
	}
	h.yields, h.stopAfter, h.interval, h.used, h.granted = 0, 2000, interval, 0, 0
	got, gotMem, err := trace(h, out)
	if errors.Is(err, errUncounted) {
		t.Fatal(err)
	}
	if err != nil { // it does not end in time, or cannot be instantiated
		return
	}
	want, wantMem, err := trace(h, withoutNames(wasm))
	if err != nil {
		t.Fatalf("the original ends with %v", err)
	}
	if got != want {
		t.Fatalf("rewritten:\n%soriginal:\n%s", got, want)
	}
	if !bytes.Equal(gotMem, wantMem) {
		t.Fatal("memories differ")
	}
}

// newFuzzHost makes an engine that gives guests little memory.
func newFuzzHost(t testing.TB) *host {
	return newHostWith(t, 0, wazero.NewRuntimeConfig().WithMemoryLimitPages(64))
}

// intervals are the budgets with which modules are compared.
var intervals = []uint64{3, 50}

// deep lets every module that ends do so.
var deep = preempt.Options{MaxDepth: 100_000}

func TestGeneratedModulesBehaveAlike(t *testing.T) {
	h := newFuzzHost(t)
	h.counting = true
	r := rand.New(rand.NewPCG(1, 2))
	ended, trapped := 0, 0
	for range 150 {
		choices := make([]byte, 400)
		for i := range choices {
			choices[i] = byte(r.Uint32())
		}
		wasm := generate(choices)
		if _, err := h.CompileModule(t.Context(), wasm); err != nil {
			t.Fatal(err)
		}
		for _, interval := range intervals {
			h.yields, h.stopAfter, h.interval, h.used, h.granted = 0, 0, interval, 0, 0
			out := rewrite(t, wasm, deep)
			got, gotMem, err := trace(h, out)
			if err != nil {
				t.Fatal(err)
			}
			want, wantMem, err := trace(h, wasm)
			if err != nil {
				t.Fatal(err)
			}
			if got != want || !bytes.Equal(gotMem, wantMem) {
				t.Fatalf("%d: rewritten:\n%soriginal:\n%s% x", interval, got, want, wasm)
			}
			if strings.Contains(want, "wasm error") {
				trapped++
			}
			if h.yields > 1 {
				ended++
			}
		}
	}
	t.Logf("%d runs with yields, %d with a trap", ended, trapped)
	if ended < 200 {
		t.Errorf("only %d of 300 runs yielded: the generator has lost its loops", ended)
	}
}

// FuzzGenerated makes valid modules out of the input.
func FuzzGenerated(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Add(bytes.Repeat([]byte{4, 9, 0, 11, 10, 8, 3}, 30))
	h := newFuzzHost(f)
	h.counting = true
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 4000 {
			return
		}
		wasm := generate(choices)
		for _, interval := range intervals {
			checkAlike(t, h, wasm, interval)
		}
	})
}

// FuzzRewrite changes modules at will.
func FuzzRewrite(f *testing.F) {
	for _, g := range endless {
		f.Add(module(g.bodies...))
	}
	for _, g := range recursions {
		f.Add(module(g.bodies...))
	}
	f.Add(generate([]byte("0123456789abcdefghijklmnopqrstuvwxyz")))
	f.Add(generate(bytes.Repeat([]byte{4, 9, 0, 11, 10, 8, 3}, 30)))
	f.Add(read(f, "testdata/names.wasm"))
	h := newFuzzHost(f)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 1<<14 {
			return
		}
		for _, interval := range intervals {
			checkAlike(t, h, wasm, interval)
		}
	})
}

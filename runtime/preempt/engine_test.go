package preempt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/bowline-edge/bowline/runtime/preempt"
)

const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesThreads

var (
	errStopped  = errors.New("stopped by the host")
	errOverflow = errors.New("calls nested too deeply")
)

// host is an engine with the two functions that rewritten modules import.
type host struct {
	wazero.Runtime
	yields int
	// interval is the budget that the guest gets at each yield.
	interval uint64
	used     int64 // units, up to the last yield
	granted  int64
	// counting says that the modules are generated ones, whose work is known.
	counting bool
	// stopAfter ends the guest at that yield; zero means never.
	stopAfter int
}

// newHost makes an engine. stop is the yield that ends the guest, zero for none.
func newHost(t testing.TB, stop int) *host {
	t.Helper()
	return newHostWith(t, stop, wazero.NewRuntimeConfig())
}

func newHostWith(t testing.TB, stop int, cfg wazero.RuntimeConfig) *host {
	t.Helper()
	ctx := context.Background()
	h := &host{Runtime: wazero.NewRuntimeWithConfig(ctx, cfg.WithCoreFeatures(features)), stopAfter: stop, interval: preempt.DefaultBudget}
	t.Cleanup(func() {
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	_, err := h.NewHostModuleBuilder(preempt.ImportModule).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(h.yield), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).Export(preempt.ImportYield).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(overflow), nil, nil).Export(preempt.ImportOverflow).
		Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) yield(_ context.Context, _ api.Module, stack []uint64) {
	if h.yields++; h.yields == h.stopAfter {
		panic(errStopped)
	}
	h.settle(stack[0])
	h.granted = int64(h.interval)
	stack[0] = h.interval
}

// settle counts what was used since the last yield.
func (h *host) settle(left uint64) {
	h.used += h.granted - int64(int32(left))
	h.granted = 0
}

func overflow(context.Context, api.Module, []uint64) { panic(errOverflow) }

// instance compiles and instantiates a module.
func (h *host) instance(t testing.TB, wasm []byte, name string) api.Module {
	t.Helper()
	m, err := h.InstantiateWithConfig(t.Context(), wasm, wazero.NewModuleConfig().WithName(name))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rewrite(t testing.TB, wasm []byte, o preempt.Options) []byte {
	t.Helper()
	out, err := preempt.Rewrite(wasm, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runWASI runs a WASI program and gives its output and how it ended.
func runWASI(t *testing.T, wasm []byte) string {
	t.Helper()
	h := newHost(t, 0)
	wasi_snapshot_preview1.MustInstantiate(t.Context(), h)
	var out bytes.Buffer
	cfg := wazero.NewModuleConfig().WithStdout(&out).WithStderr(&out).WithArgs("program", "a", "b")
	_, err := h.InstantiateWithConfig(t.Context(), wasm, cfg)
	fmt.Fprintf(&out, "ended with %v", err)
	return out.String()
}

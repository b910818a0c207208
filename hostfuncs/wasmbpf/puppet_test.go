package wasmbpf

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// Table indexes in puppet.wat.
const (
	onRecord  = 1
	onTrap    = 2
	wrongType = 3
	onGrow    = 4
)

// puppet is a real guest that calls the host function that a test names, with
// the numbers that the test gives.
type puppet struct {
	t        *testing.T
	eng      engine.Engine
	in       engine.Instance
	state    *instance
	logged   []string
	reported []string
	// record is what the callback does with a record.
	record func(ctx context.Context, data []byte, size uint32) (int32, error)
	next   uint32 // free guest memory
}

// onEngines runs a test with a puppet on every engine of this build.
func onEngines(t *testing.T, test func(t *testing.T, p *puppet)) { withGuest(t, "puppet", test) }

func withGuest(t *testing.T, guest string, test func(t *testing.T, p *puppet)) {
	kerneltest.RequireRoot(t)
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			eng, err := open()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeAll(t, eng.Close) })
			test(t, newPuppet(t, eng, guest, session.Options{}))
		})
	}
}

func closeAll(t *testing.T, closers ...func() error) {
	t.Helper()
	for _, c := range closers {
		if err := c(); err != nil {
			t.Error(err)
		}
	}
}

func newPuppet(t *testing.T, eng engine.Engine, guest string, opts session.Options) *puppet {
	t.Helper()
	wasm := testdata(t, guest+".wasm")
	ctx := context.Background()
	mod, err := eng.Compile(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	p := &puppet{t: t, eng: eng, next: 4096}
	if opts.Guard == nil {
		opts.Guard = everything(t)
	}
	bound, err := Provider{Options: opts}.Bind(engine.Env{
		Name: "puppet",
		Log:  func(l string) { p.logged = append(p.logged, l) },
		Report: func(step string, err error) {
			if err != nil {
				p.reported = append(p.reported, step+": "+err.Error())
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.state = bound.(*instance)
	funcs := []engine.HostFunc{p.recorder()}
	for _, imp := range (Provider{}).Offers() {
		funcs = append(funcs, bound.Func(imp))
	}
	p.in, err = mod.Instantiate(ctx, engine.InstanceConfig{Funcs: funcs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(t, bound.Close, p.in.Close, mod.Close) })
	return p
}

// everything are the rights of a plugin that may do all.
func everything(t testing.TB) *policy.Rights {
	t.Helper()
	rights, err := policy.Effective(nil, policy.Plugin{}, policy.Everything())
	if err != nil {
		t.Fatal(err)
	}
	return rights
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recorder is the import test.record of the puppet: its callback.
func (p *puppet) recorder() engine.HostFunc {
	return engine.HostFunc{
		Module: "test", Name: "record", Type: callbackType,
		Call: func(ctx context.Context, in engine.Instance, stack []uint64) error {
			data, size := uint32(stack[1]), uint32(stack[2])
			if p.record == nil {
				return fmt.Errorf("a record of %d bytes that the test does not expect", size)
			}
			r, err := p.record(ctx, in.Memory()[data:data+size], size)
			stack[0] = uint64(uint32(r))
			return err
		},
	}
}

// call calls an export of the puppet and answers its result, which is signed.
func (p *puppet) call(name string, args ...uint64) int64 {
	p.t.Helper()
	r, err := p.try(context.Background(), name, args...)
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return r
}

func (p *puppet) try(ctx context.Context, name string, args ...uint64) (int64, error) {
	p.t.Helper()
	typ, ok := p.in.HasExport(name)
	if !ok || len(typ.Params) != len(args) {
		p.t.Fatalf("the puppet has no %s with %d parameters", name, len(args))
	}
	stack := make([]uint64, typ.StackLen())
	copy(stack, args)
	err := p.in.Call(ctx, name, typ, stack)
	if typ.Results[0] == engine.I32 {
		return int64(int32(uint32(stack[0]))), err
	}
	return int64(stack[0]), err
}

// put writes bytes into guest memory, 8-aligned, and answers the pointer.
func (p *puppet) put(b []byte) uint64 {
	at := (p.next + 7) &^ 7
	p.next = at + uint32(len(b))
	copy(p.in.Memory()[at:], b)
	return uint64(at)
}

func (p *puppet) str(s string) uint64 { return p.put(append([]byte(s), 0)) }

func (p *puppet) u32(v uint32) uint64 { return p.put(binary.LittleEndian.AppendUint32(nil, v)) }

func (p *puppet) u64(v uint64) uint64 { return p.put(binary.LittleEndian.AppendUint64(nil, v)) }

func (p *puppet) readU64(at uint64) uint64 { return binary.LittleEndian.Uint64(p.in.Memory()[at:]) }

// load loads a BPF object out of testdata.
func (p *puppet) load(name string) uint64 {
	p.t.Helper()
	elf := testdata(p.t, name)
	obj := p.call("load", p.put(elf), uint64(len(elf)))
	if obj == 0 {
		p.t.Fatalf("load %s: %s", name, strings.Join(p.reported, "; "))
	}
	return uint64(obj)
}

// mapOf answers the handle of a map.
func (p *puppet) mapOf(obj uint64, name string) uint64 {
	p.t.Helper()
	h := p.call("map", obj, p.str(name))
	if h <= 0 {
		p.t.Fatalf("map %s: %d: %s", name, h, strings.Join(p.reported, "; "))
	}
	return uint64(h)
}

// emit lets the BPF program emit write count records of size bytes to ring 0 or 1.
func (p *puppet) emit(obj uint64, ring, count, size, first uint32) {
	p.t.Helper()
	o, ok := p.state.object(obj)
	if !ok {
		p.t.Fatal("no such object")
	}
	prog, err := o.obj.Program("emit")
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range count {
		order := [3]uint64{uint64(ring), uint64(size), uint64(first + i)}
		if _, err := prog.Kernel().Run(&ebpf.RunOptions{Context: order}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// poll polls with the callback at a table index, without waiting.
func (p *puppet) poll(obj, fd uint64, callback uint64) int64 {
	p.t.Helper()
	return p.call("poll", obj, fd, callback, 7, pollBuffer, pollMax, 0)
}

// Where the tests let records be copied, and how long that buffer is.
const (
	pollBuffer = 512 << 10
	pollMax    = 64
)

package ebpf

import (
	"context"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// puppet is a real guest with an export for each function of the contract, which calls that function with what it is given.
type puppet struct {
	t     testing.TB
	in    engine.Instance
	inst  *instance
	notes []string
	next  uint32 // free guest memory
}

// puppetMemory is the guest's memory in bytes.
const puppetMemory = 64 << 16

// puppetModule is the guest with that many pages of memory, as Wasm.
func puppetModule(pages int) []byte {
	var types, imports, funcs, exports, code [][]byte
	all := abi.Functions()
	for i, f := range all {
		params := f.Wasm()
		typ := []byte{0x60, byte(len(params))}
		body := []byte{0} // no locals
		for j, p := range params {
			if p == abi.WasmI64 {
				typ = append(typ, byte(engine.I64))
			} else {
				typ = append(typ, byte(engine.I32))
			}
			body = append(body, 0x20, byte(j)) // local.get
		}
		types = append(types, append(typ, 1, byte(engine.I32)))
		imports = append(imports, slices.Concat(wasmName(abi.Module), wasmName(f.Name), []byte{0}, uleb(i)))
		funcs = append(funcs, uleb(i))
		exports = append(exports, slices.Concat(wasmName(f.Name), []byte{0}, uleb(len(all)+i)))
		body = slices.Concat(body, []byte{0x10}, uleb(i), []byte{0x0b}) // call, end
		code = append(code, append(uleb(len(body)), body...))
	}
	exports = append(exports, append(wasmName("memory"), 2, 0))
	memory := [][]byte{slices.Concat([]byte{1}, uleb(pages), uleb(pages))}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"),
		wasmSection(1, types), wasmSection(2, imports), wasmSection(3, funcs), wasmSection(5, memory), wasmSection(7, exports), wasmSection(10, code))
}

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func wasmName(s string) []byte { return append(uleb(len(s)), s...) }

func wasmSection(id byte, items [][]byte) []byte {
	body := slices.Concat(append([][]byte{uleb(len(items))}, items...)...)
	return slices.Concat([]byte{id}, uleb(len(body)), body)
}

// onEngines runs a test with a puppet on every engine of this build.
func onEngines(t *testing.T, test func(t *testing.T, p *puppet)) {
	withOptions(t, session.Options{}, test)
}

func withOptions(t *testing.T, opts session.Options, test func(t *testing.T, p *puppet)) {
	t.Helper()
	kerneltest.RequireRoot(t)
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			eng, err := open()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { must(t, eng.Close()) })
			test(t, newPuppet(t, eng, opts))
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newPuppet(t testing.TB, eng engine.Engine, opts session.Options) *puppet {
	t.Helper()
	mod, err := eng.Compile(context.Background(), puppetModule(puppetMemory>>16))
	must(t, err)
	t.Cleanup(func() { must(t, mod.Close()) })
	return instantiate(t, mod, opts)
}

// instantiate makes a puppet, which ends with the test.
func instantiate(t testing.TB, mod engine.Module, opts session.Options) *puppet {
	t.Helper()
	ctx := context.Background()
	if opts.Guard == nil {
		opts.Guard = everything(t)
	}
	p := &puppet{t: t, next: 4096}
	bound, err := Provider{Options: opts}.Bind(engine.Env{
		Name: "puppet", Log: func(string) {}, Report: func(string, error) {},
		Note: func(step string, err error) {
			if err != nil {
				p.notes = append(p.notes, step+": "+err.Error())
			}
		},
	})
	must(t, err)
	p.inst = bound.(*instance)
	var funcs []engine.HostFunc
	for _, imp := range (Provider{}).Offers() {
		funcs = append(funcs, bound.Func(imp))
	}
	p.in, err = mod.Instantiate(ctx, engine.InstanceConfig{Funcs: funcs})
	must(t, err)
	t.Cleanup(func() {
		must(t, bound.Close())
		must(t, p.in.Close())
	})
	return p
}

// imported is the import of a function.
func imported(name string) engine.Import {
	all := Provider{}.Offers()
	return all[slices.IndexFunc(all, func(imp engine.Import) bool { return imp.Name == name })]
}

// try calls a function with raw values.
func (p *puppet) try(ctx context.Context, name string, args ...uint64) abi.Errno {
	p.t.Helper()
	typ, ok := p.in.HasExport(name)
	if !ok || len(typ.Params) != len(args) {
		p.t.Fatalf("%s has %d values, not %d", name, len(typ.Params), len(args))
	}
	stack := make([]uint64, typ.StackLen())
	copy(stack, args)
	must(p.t, p.in.Call(ctx, name, typ, stack))
	return abi.Errno(stack[0])
}

// call calls a function with Go values: numbers, and strings and []byte as pointer and length.
func (p *puppet) call(name string, args ...any) abi.Errno {
	p.t.Helper()
	return p.try(context.Background(), name, p.values(args)...)
}

func (p *puppet) values(args []any) []uint64 {
	var out []uint64
	for _, a := range args {
		switch a := a.(type) {
		case string:
			out = append(out, uint64(p.put([]byte(a))), uint64(len(a)))
		case []byte:
			out = append(out, uint64(p.put(a)), uint64(len(a)))
		case span:
			out = append(out, uint64(a.ptr), uint64(a.len))
		case ptr:
			out = append(out, uint64(a))
		case int32:
			out = append(out, uint64(uint32(a)))
		case int:
			out = append(out, uint64(a))
		case uint32:
			out = append(out, uint64(a))
		case uint64:
			out = append(out, a)
		default:
			p.t.Fatalf("no value for %T", a)
		}
	}
	return out
}

// ok calls a function that must succeed.
func (p *puppet) ok(name string, args ...any) {
	p.t.Helper()
	if no := p.call(name, args...); no != abi.SUCCESS {
		if no == abi.NOTSUP {
			kerneltest.SkipIfUnsupported(p.t, p.inst.last)
		}
		p.t.Fatalf("%s: %s: %s", name, no, p.lastError())
	}
}

// want calls a function that must fail.
func (p *puppet) want(want abi.Errno, name string, args ...any) string {
	p.t.Helper()
	if got := p.call(name, args...); got != want {
		p.t.Errorf("%s: got %s, want %s: %s", name, got, want, p.lastError())
	}
	return p.lastError()
}

func (p *puppet) lastError() string {
	buf, n := p.room(64<<10), p.room(4)
	if no := p.try(context.Background(), "last_error", uint64(buf.ptr), uint64(buf.len), uint64(n.ptr)); no != abi.SUCCESS {
		p.t.Fatalf("last_error: %s", no)
	}
	return string(p.read(span{buf.ptr, min(p.u32(n.ptr), buf.len)}))
}

// handle calls a function whose last parameter receives a handle, and answers that.
func (p *puppet) handle(name string, args ...any) int32 {
	p.t.Helper()
	out := p.room(4)
	p.ok(name, append(args, ptr(out.ptr))...)
	h := int32(p.u32(out.ptr))
	if h <= 0 {
		p.t.Fatalf("%s: handle %d", name, h)
	}
	return h
}

// span is memory of the guest; ptr a pointer into it.
type span struct{ ptr, len uint32 }

type ptr uint32

// room takes n bytes of guest memory, 8-byte aligned and zero.
func (p *puppet) room(n int) span {
	p.t.Helper()
	at := (p.next + 7) &^ 7
	if int(at)+n > puppetMemory {
		at = 4096 // what is there has been used long ago
	}
	p.next = at + uint32(n)
	clear(p.in.Memory()[at : int(at)+n])
	return span{at, uint32(n)}
}

func (p *puppet) put(b []byte) uint32 {
	s := p.room(len(b))
	copy(p.in.Memory()[s.ptr:], b)
	return s.ptr
}

func (p *puppet) read(s span) []byte {
	return slices.Clone(p.in.Memory()[s.ptr : s.ptr+s.len])
}

func (p *puppet) u32(at uint32) uint32 { return binary.LittleEndian.Uint32(p.in.Memory()[at:]) }

func (p *puppet) u64(at uint32) uint64 { return binary.LittleEndian.Uint64(p.in.Memory()[at:]) }

// encode is a structure of the contract as it lies in memory.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := binary.Append(nil, binary.LittleEndian, v)
	must(t, err)
	return b
}

// decode reads a structure out of guest memory.
func decode[T any](p *puppet, s span) (v T) {
	p.t.Helper()
	if _, err := binary.Decode(p.read(s), binary.LittleEndian, &v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

// load opens and loads a BPF object out of a testdata folder.
func (p *puppet) load(path string) int32 {
	p.t.Helper()
	elf, err := os.ReadFile(path)
	must(p.t, err)
	o := p.handle("object_open", elf)
	p.ok("object_load", o, 0)
	return o
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

// granted are the rights of a plugin with these grants and no others.
func granted(t testing.TB, grants ...string) *policy.Rights {
	t.Helper()
	var lines []policy.Line
	for _, text := range grants {
		g, err := policy.ParseGrant(text)
		must(t, err)
		lines = append(lines, policy.Line{Grant: g, File: "test"})
	}
	rights, err := policy.Effective(nil, policy.Plugin{Name: "puppet"}, lines)
	must(t, err)
	return rights
}

func le32bytes(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func native32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func native64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

func TestEveryFunctionIsThere(t *testing.T) {
	var have []string
	for _, imp := range (Provider{}).Offers() {
		if _, ok := abi.Lookup(imp.Name); !ok {
			t.Errorf("%s is not in the contract", imp.Name)
		}
		have = append(have, imp.Name)
	}
	var want []string
	for _, f := range abi.Functions() {
		want = append(want, f.Name)
	}
	if !slices.Equal(have, want) {
		t.Errorf("got %v\nwant %v", have, want)
	}
	onEngines(t, func(t *testing.T, p *puppet) {
		out := p.room(4)
		p.ok("version", ptr(out.ptr))
		if got := p.u32(out.ptr); got != abi.Version {
			t.Errorf("version %#x, want %#x", got, uint32(abi.Version))
		}
	})
}

func file(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

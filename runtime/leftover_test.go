package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/bowline-edge/bowline/hostfuncs/ebpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// script writes a guest: a memory, and a _start that makes one call after the other. A call that does not answer SUCCESS ends the guest
// with an exit code of 100 and the number of the call.
type script struct {
	t       *testing.T
	data    []byte
	body    []byte
	types   [][]byte
	imports [][]byte
	index   map[string]int
	calls   int
}

// base is where data begins, so that no pointer is null.
const base = 64

func (s *script) put(b []byte) uint32 {
	s.data = append(s.data, make([]byte, -len(s.data)&7)...)
	s.data = append(s.data, b...)
	return uint32(base + len(s.data) - len(b))
}

func (s *script) encode(v any) uint32 {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.put(b)
}

func (s *script) span(b []byte) abi.Span { return abi.Span{Ptr: s.put(b), Len: uint32(len(b))} }

// at is a value that the guest loads from memory.
type at uint32

// text is a pointer and a length.
type text string

// imported is the number of an import.
func (s *script) imported(module, name string, params []abi.ValueType, result bool) int {
	if i, ok := s.index[name]; ok {
		return i
	}
	typ := []byte{0x60, byte(len(params))}
	for _, p := range params {
		typ = append(typ, map[abi.ValueType]byte{abi.WasmI32: 0x7f, abi.WasmI64: 0x7e}[p])
	}
	if result {
		typ = append(typ, 1, 0x7f)
	} else {
		typ = append(typ, 0)
	}
	i := len(s.imports)
	s.types = append(s.types, typ)
	s.imports = append(s.imports, slices.Concat(vecName(module), vecName(name), []byte{0}, leb(i)))
	s.index[name] = i
	return i
}

func (s *script) push(params []abi.ValueType, args []any) {
	n := 0
	add := func(v int64) {
		op := byte(0x41)
		if params[n] == abi.WasmI64 {
			op = 0x42
		}
		s.body = append(append(s.body, op), sleb(v)...)
		n++
	}
	for _, a := range args {
		switch a := a.(type) {
		case at:
			s.body = slices.Concat(s.body, []byte{0x41}, sleb(int64(a)), []byte{0x28, 2, 0}) // i32.load
			n++
		case text:
			add(int64(s.put([]byte(a))))
			add(int64(len(a)))
		case int:
			add(int64(a))
		case uint32:
			add(int64(a))
		}
	}
	if n != len(params) {
		s.t.Fatalf("%d values, want %d", n, len(params))
	}
}

// call calls a function of the contract.
func (s *script) call(name string, args ...any) {
	f, ok := abi.Lookup(name)
	if !ok {
		s.t.Fatalf("no function %s", name)
	}
	i := s.imported(abi.Module, name, f.Wasm(), true)
	s.push(f.Wasm(), args)
	s.body = slices.Concat(s.body, []byte{0x10}, leb(i), []byte{0x04, 0x40}) // call, if
	s.exit(100 + s.calls)
	s.body = append(s.body, 0x0b)
	s.calls++
}

// open calls a function whose last parameter receives a handle.
func (s *script) open(name string, args ...any) at {
	out := s.put(make([]byte, 4))
	s.call(name, append(args, out)...)
	return at(out)
}

const wasi = "wasi_snapshot_preview1"

func (s *script) exit(code int) {
	i := s.imported(wasi, "proc_exit", []abi.ValueType{abi.WasmI32}, false)
	s.body = slices.Concat(s.body, []byte{0x41}, sleb(int64(code)), []byte{0x10}, leb(i))
}

// say writes to standard output.
func (s *script) say(line string) {
	params := []abi.ValueType{abi.WasmI32, abi.WasmI32, abi.WasmI32, abi.WasmI32}
	i := s.imported(wasi, "fd_write", params, true)
	iov := s.encode(s.span([]byte(line)))
	s.push(params, []any{1, iov, 1, s.put(make([]byte, 4))})
	s.body = slices.Concat(s.body, []byte{0x10}, leb(i), []byte{0x1a}) // call, drop
}

// insns are instructions that load the address of a map if there is one, whose handle the guest writes into them.
func (s *script) insns(m at) abi.Span {
	list := asm.Instructions{asm.LoadMapPtr(asm.R1, 0), asm.Mov.Imm(asm.R0, 0), asm.Return()}
	if m == 0 {
		list = list[1:]
	}
	var b bytes.Buffer
	var order binary.ByteOrder = binary.LittleEndian
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		order = binary.BigEndian
	}
	if err := list.Marshal(&b, order); err != nil {
		s.t.Fatal(err)
	}
	code := s.span(b.Bytes())
	if m != 0 {
		s.body = slices.Concat(s.body, []byte{0x41}, sleb(int64(code.Ptr+4)), []byte{0x41}, sleb(int64(m)), []byte{0x28, 2, 0, 0x36, 2, 0}) // i32.store
	}
	return code
}

func (s *script) program(section string, m at) at {
	code := s.insns(m)
	return s.open("program_load", s.encode(&abi.ProgramOptions{Name: s.span([]byte("left")), Section: s.span([]byte(section)), License: s.span([]byte("GPL")), Insns: code}), 64)
}

// everything opens one of each kind of object.
func (s *script) everything(elf []byte, share string) (reader at) {
	options := func(typ cilium.MapType, key, value, entries uint32) uint32 {
		return s.encode(&abi.MapOptions{Type: uint32(typ), KeySize: key, ValueSize: value, MaxEntries: entries})
	}
	m := s.open("map_create", options(cilium.Array, 4, 8, 16), 32, text("left"))
	ring := s.open("map_create", options(cilium.RingBuf, 0, 0, 4096), 32, text("left"))
	perf := s.open("map_create", options(cilium.PerfEventArray, 4, 4, 0), 32, text("left"))
	user := s.open("map_create", options(cilium.UserRingbuf, 0, 0, 4096), 32, text("left"))
	s.call("map_write_ring", user, text("\x04\x00\x00\x00\x00\x00\x00\x00abcd\x00\x00\x00\x00"), s.put(make([]byte, 4)))
	s.call("share", m, text(share))
	s.open("open_shared", text(share), abi.KindMap)
	s.open("link_attach", s.program("raw_tracepoint/sched_switch", m), 0, 0)
	reader = s.open("events_open")
	s.call("events_add", reader, ring, 0, 0, s.put(make([]byte, 4)))
	s.call("events_add", reader, perf, 0, 0, s.put(make([]byte, 4)))
	s.open("program_enable_stats")
	s.open("process_open", 1)
	s.open("file_open", text("/"))
	s.open("cgroup_open", text("."))
	walk := s.open("link_attach", s.program("iter/task", 0), 0, 0)
	s.open("iter_open", walk)
	calls := s.open("map_create", options(cilium.ProgramArray, 4, 4, 2), 32, text("left"))
	key, tail := s.put(make([]byte, 4)), s.program("raw_tracepoint", m)
	s.call("map_update", calls, key, 4, uint32(tail), 4, 0)
	o := s.open("object_open", text(elf))
	s.call("object_load", o, 0)
	return reader
}

// wasm is the whole guest.
func (s *script) wasm() []byte {
	body := append([]byte{0}, append(s.body, 0x0b)...)
	s.types = append(s.types, []byte{0x60, 0, 0})
	pages := leb(1 + (base+len(s.data))>>16)
	exports := [][]byte{append(vecName("memory"), 2, 0), slices.Concat(vecName("_start"), []byte{0}, leb(len(s.imports)))}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), section(1, s.types...), section(2, s.imports...), section(3, leb(len(s.types)-1)),
		section(5, slices.Concat([]byte{0}, pages)), section(7, exports...), section(10, append(leb(len(body)), body...)),
		section(11, slices.Concat([]byte{0, 0x41}, sleb(base), []byte{0x0b}, leb(len(s.data)), s.data)))
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func sleb(v int64) (b []byte) {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func vecName(s string) []byte { return append(leb(len(s)), s...) }

func section(id byte, items ...[]byte) []byte {
	body := slices.Concat(append([][]byte{leb(len(items))}, items...)...)
	return slices.Concat([]byte{id}, leb(len(body)), body)
}

// kernelObjects are the numbers of BPF objects that this process holds, by kind, as /proc tells.
func kernelObjects(t *testing.T) map[string][]uint32 {
	t.Helper()
	found := map[string][]uint32{}
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the descriptor of the listing itself
		}
		for line := range strings.Lines(string(b)) {
			for _, kind := range []string{"map_id", "prog_id", "link_id"} {
				var id uint32
				if rest, ok := strings.CutPrefix(line, kind+":"); ok {
					if _, err := fmt.Sscan(rest, &id); err == nil {
						found[kind] = append(found[kind], id)
					}
				}
			}
		}
	}
	return found
}

// exists reports whether the kernel has an object, without opening it.
func exists(kind string, id uint32) bool {
	switch kind {
	case "map_id":
		next, err := cilium.MapGetNextID(cilium.MapID(id - 1))
		return err == nil && next == cilium.MapID(id)
	case "prog_id":
		next, err := cilium.ProgramGetNextID(cilium.ProgramID(id - 1))
		return err == nil && next == cilium.ProgramID(id)
	}
	l, err := link.NewFromID(link.ID(id))
	if err == nil {
		l.Close()
	}
	return err == nil
}

// ready is standard output: what the guest writes means that it has opened everything.
type ready struct{ f func() }

func (r ready) Write(b []byte) (int, error) { r.f(); return len(b), nil }

// However a guest ends in the middle of its work, nothing stays.
func TestNothingIsLeftHoweverAGuestEnds(t *testing.T) {
	kerneltest.RequireRoot(t)
	elf, err := os.ReadFile("../hostfuncs/wasmbpf/testdata/puppet.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	trapped := func(code uint32, err error) bool { var trap *engine.Trap; return errors.As(err, &trap) }
	stopped := func(code uint32, err error) bool { return errors.Is(err, context.Canceled) }
	for name, open := range engines {
		for how, tc := range map[string]struct {
			end  func(s *script, reader at)
			want func(code uint32, err error) bool
		}{
			"returns": {func(*script, at) {}, func(code uint32, err error) bool { return code == 0 && err == nil }},
			"exits":   {func(s *script, _ at) { s.exit(7) }, func(code uint32, err error) bool { return code == 7 && err == nil }},
			"traps":   {func(s *script, _ at) { s.body = append(s.body, 0x00) }, trapped},
			"loops":   {func(s *script, _ at) { s.body = append(s.body, 0x03, 0x40, 0x0c, 0, 0x0b) }, stopped},
			"waits": {func(s *script, reader at) {
				s.call("events_read", reader, s.put(make([]byte, 64)), 64, -1, s.put(make([]byte, 24)), 24)
			}, stopped},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				share := fmt.Sprintf("left-%d", os.Getpid())
				s := &script{t: t, index: map[string]int{}}
				reader := s.everything(elf, share)
				s.say("ready")
				tc.end(s, reader)
				eng, err := open()
				if err != nil {
					t.Fatal(err)
				}
				defer eng.Close()
				rights, err := policy.Effective(nil, policy.Plugin{}, policy.Everything())
				if err != nil {
					t.Fatal(err)
				}
				may := ebpf.Provider{Options: session.Options{Guard: rights}}
				rt, err := runtime.New(runtime.Options{Engine: eng, Providers: []engine.Provider{may}})
				if err != nil {
					t.Fatal(err)
				}
				defer rt.Close()
				mod, err := rt.Load(t.Context(), "left", s.wasm())
				if err != nil {
					t.Fatal(err)
				}
				before := kernelObjects(t)
				var during map[string][]uint32
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				out := ready{func() {
					during = kernelObjects(t)
					if how == "loops" || how == "waits" {
						cancel()
					}
				}}
				var notes []string
				code, err := mod.Run(ctx, runtime.Config{Stdout: out, Grace: 20 * time.Millisecond, Note: func(step string, err error) {
					if err != nil {
						notes = append(notes, step+": "+err.Error())
					}
				}})
				if !tc.want(code, err) {
					t.Fatalf("got code %d, %v; %v", code, err, notes)
				}
				if len(during["map_id"]) < 6 || len(during["prog_id"]) < 4 || len(during["link_id"]) < 2 {
					t.Errorf("the guest had too little open to prove anything: %v", during)
				}
				if after := kernelObjects(t); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("held before: %v, after: %v", before, after)
				}
				for kind, ids := range during {
					for _, id := range ids {
						if !slices.Contains(before[kind], id) {
							kerneltest.Eventually(t, fmt.Sprintf("free %s %d", kind, id), func() bool { return !exists(kind, id) })
						}
					}
				}
			})
		}
	}
}

package ebpf

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// What the specification says of all functions, tried with each parameter of each function that the contract lists.

// wrong is one way in which a parameter cannot be used.
type wrong struct {
	name   string
	values []uint64
	want   abi.Errno
}

// oneOfEach opens an object of each kind that a handle can name.
func (p *puppet) oneOfEach() map[string]int32 {
	p.t.Helper()
	o := p.handle("object_open", file(p.t, puppetObject))
	p.ok("object_set_autoload", o, "emit", 0) // its type is from Linux 5.14
	p.ok("object_load", o, 0)
	ring := p.handle("object_map", o, "ring_a")
	reader := p.handle("events_open")
	p.ok("events_add", reader, ring, span{}, ptr(p.room(4).ptr))
	walk, no := p.program("iter/task", insns(p.t, asm.Mov.Imm(asm.R0, 0), asm.Return()))
	if no != abi.SUCCESS {
		p.t.Fatalf("load an iterator: %s: %s", no, p.lastError())
	}
	link := p.handle("link_attach", walk, span{})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(p.t, err)
	p.t.Cleanup(func() { conn.Close() })
	socket, err := conn.(*net.UDPConn).File()
	must(p.t, err)
	p.t.Cleanup(func() { socket.Close() })
	return map[string]int32{
		"object": o, "map": ring, "program": walk, "link": link, "events": reader,
		"iter": p.handle("iter_open", link), "stats": p.handle("program_enable_stats"),
		"socket":  p.handle("socket_open", os.Getpid(), int(socket.Fd())),
		"process": p.handle("process_open", os.Getpid()),
		"cgroup":  p.handle("cgroup_open", "."), "file": p.handle("file_open", "/"),
	}
}

// good are values for a parameter that the host can use.
func (p *puppet) good(param abi.Param, handles map[string]int32) []uint64 {
	switch param.Kind {
	case abi.Handle:
		of := param.Of
		if of == "any" {
			of = "map"
		}
		return p.values([]any{handles[of]})
	case abi.Text:
		return p.values([]any{"name"})
	case abi.Bytes, abi.Buffer, abi.InOut:
		return p.values([]any{p.room(64)})
	case abi.Struct, abi.OutStruct, abi.IOStruct:
		return p.values([]any{p.room(structSize(param.Of))})
	case abi.OutU32, abi.OutU64, abi.OutHandle:
		return p.values([]any{ptr(p.room(8).ptr)})
	}
	return []uint64{0}
}

func structSize(name string) int {
	for _, s := range abi.Structs() {
		if s.Name == name {
			return s.Size
		}
	}
	return 0
}

// wrongs are the ways in which a parameter cannot be used.
func (p *puppet) wrongs(param abi.Param, handles map[string]int32) []wrong {
	end := uint64(len(p.in.Memory()))
	outside := []wrong{
		{"over the end", []uint64{end - 4, 8}, abi.FAULT},
		{"behind the end", []uint64{end + 1, 0}, abi.FAULT},
		{"around the address space", []uint64{0xffff_fff8, 16}, abi.FAULT},
		{"all of the address space", []uint64{8, 0xffff_ffff}, abi.FAULT},
	}
	large := p.values([]any{make([]byte, 4097)})
	switch param.Kind {
	case abi.Handle:
		bad := []wrong{{"never given", []uint64{0x7fff_0001}, abi.BADF}, {"negative", []uint64{0xffff_ffff}, abi.BADF}}
		if !param.Optional {
			bad = append(bad, wrong{"no handle", []uint64{0}, abi.BADF})
		}
		for kind, h := range handles {
			if param.Of != "any" && kind != param.Of {
				bad = append(bad, wrong{"a " + kind, p.values([]any{h}), abi.BADF})
			}
		}
		return bad
	case abi.Text:
		outside[3].want = abi.TOOBIG // its length alone is too much
		return append(outside,
			wrong{"no UTF-8", p.values([]any{"a\xff"}), abi.INVAL}, wrong{"a NUL", p.values([]any{"a\x00b"}), abi.INVAL},
			wrong{"too long", large, abi.TOOBIG})
	case abi.Bytes, abi.Buffer, abi.InOut, abi.OutStruct:
		return outside
	case abi.Struct, abi.IOStruct:
		outside[3].want = abi.TOOBIG
		longer := make([]byte, structSize(param.Of)+8)
		longer[len(longer)-1] = 1
		return append(outside, wrong{"too long", large, abi.TOOBIG}, wrong{"with an unknown field", p.values([]any{longer}), abi.INVAL})
	case abi.OutU32, abi.OutHandle:
		return []wrong{{"outside", []uint64{end}, abi.FAULT}, {"over the end", []uint64{end - 2}, abi.FAULT}, {"not aligned", []uint64{uint64(p.room(8).ptr) + 2}, abi.FAULT}}
	case abi.OutU64:
		return []wrong{{"outside", []uint64{end}, abi.FAULT}, {"over the end", []uint64{end - 4}, abi.FAULT}, {"not aligned", []uint64{uint64(p.room(8).ptr) + 4}, abi.FAULT}}
	}
	return nil
}

func TestAParameterThatCannotBeUsedHasNoEffect(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		handles := p.oneOfEach()
		for _, f := range abi.Functions() {
			t.Run(f.Name, func(t *testing.T) {
				for i, param := range f.Params {
					for _, w := range p.wrongs(param, handles) {
						p.refused(t, f, handles, map[int]wrong{i: w}, w.want)
					}
				}
			})
		}
	})
}

func TestTheFirstParameterThatCannotBeUsedDecides(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		handles := p.oneOfEach()
		for _, f := range abi.Functions() {
			for i, first := range f.Params {
				for j := i + 1; j < len(f.Params); j++ {
					later := oneForEachErrno(p.wrongs(f.Params[j], handles))
					for _, w := range oneForEachErrno(p.wrongs(first, handles)) {
						for _, l := range later {
							if l.want != w.want {
								p.refused(t, f, handles, map[int]wrong{i: w, j: l}, w.want)
							}
						}
					}
				}
			}
		}
	})
}

func oneForEachErrno(list []wrong) (out []wrong) {
	seen := map[abi.Errno]bool{}
	for _, w := range list {
		if !seen[w.want] {
			out = append(out, w)
		}
		seen[w.want] = true
	}
	return out
}

// refused calls a function with some parameters that cannot be used, and looks whether anything happened.
func (p *puppet) refused(t *testing.T, f abi.Func, handles map[string]int32, bad map[int]wrong, want abi.Errno) {
	t.Helper()
	p.next = 4096 + 1<<16 // above what holds the wrong values
	var args []uint64
	var how []string
	for i, param := range f.Params {
		if w, ok := bad[i]; ok {
			args = append(args, w.values...)
			how = append(how, param.Name+" "+w.name)
		} else {
			args = append(args, p.good(param, handles)...)
		}
	}
	before, open := bytes.Clone(p.in.Memory()), p.inst.s.Open()
	got := p.try(context.Background(), f.Name, args...)
	if !bytes.Equal(before, p.in.Memory()) {
		t.Errorf("%s with %s has written to memory", f.Name, strings.Join(how, " and "))
	}
	if got != want {
		t.Errorf("%s with %s: got %s, want %s: %s", f.Name, strings.Join(how, " and "), got, want, p.lastError())
	}
	if p.inst.s.Open() != open {
		t.Errorf("%s with %s: %d handles are open, %d before", f.Name, strings.Join(how, " and "), p.inst.s.Open(), open)
	}
}

// A host function takes its values off the stack by hand: as many as the contract says, whatever goes wrong on the way.
func TestEveryFunctionTakesAllItsValues(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		for _, f := range functions() {
			contract, _ := abi.Lookup(f.name)
			c := call{ctx: context.Background(), mem: p.in.Memory(), stack: make([]uint64, max(len(contract.Wasm()), 1))}
			_ = f.call(p.inst, &c)
			if c.next != len(contract.Wasm()) {
				t.Errorf("%s takes %d values, the contract has %d", f.name, c.next, len(contract.Wasm()))
			}
		}
	})
}

func TestStructuresMayBeShorterOrLonger(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		opts := encode(t, &abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 3})
		short := p.handle("map_create", opts[:20], "short") // without inner and reserved
		long := p.handle("map_create", append(bytes.Clone(opts), make([]byte, 24)...), "long")
		for name, h := range map[string]int32{"short": short, "long": long} {
			whole := p.room(64)
			p.ok("map_info", h, whole)
			if got := decode[abi.MapInfo](p, whole); got.MaxEntries != 3 {
				t.Errorf("%s: %d entries, want 3", name, got.MaxEntries)
			}
			// What there is no room for is not written, and what the host does not know is zero.
			part, more := p.room(16), p.room(80)
			copy(p.in.Memory()[part.ptr:], bytes.Repeat([]byte{0xee}, 16))
			copy(p.in.Memory()[more.ptr:], bytes.Repeat([]byte{0xee}, 80))
			p.ok("map_info", h, span{part.ptr, 8})
			p.ok("map_info", h, more)
			if got := p.read(part); !bytes.Equal(got[:8], p.read(whole)[:8]) || !bytes.Equal(got[8:], bytes.Repeat([]byte{0xee}, 8)) {
				t.Errorf("%s: with room for 8 bytes: % x", name, got)
			}
			if got := p.read(more); !bytes.Equal(got[:64], p.read(whole)) || !bytes.Equal(got[64:], make([]byte, 16)) {
				t.Errorf("%s: with room for 80 bytes: % x", name, got)
			}
		}
	})
}

package ebpf

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// puppetObject has the maps and programs that most tests use.
const puppetObject = "../wasmbpf/testdata/puppet.bpf.o"

// variables has global variables and one map of each shape.
const variables = "../../bpf/testdata/maps.bpf.o"

func TestObjectIsSetUpLoadedAndClosed(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.handle("object_open", file(t, variables))
		p.want(abi.INVAL, "object_map", o, "hash", ptr(p.room(4).ptr))
		p.ok("object_set_variable", o, "answer", native32(7))
		p.want(abi.INVAL, "object_set_variable", o, "answer", native64(7))
		if text := p.want(abi.NOENT, "object_set_variable", o, "nothing", native32(7)); !strings.Contains(text, "counter") {
			t.Errorf("the error does not list the variables: %s", text)
		}
		p.ok("object_set_map", o, "hash", abi.MapMaxEntries, uint64(3))
		p.want(abi.RANGE, "object_set_map", o, "hash", abi.MapMaxEntries, uint64(1<<32))
		p.want(abi.INVAL, "object_set_map", o, "hash", 99, uint64(1))
		p.ok("object_set_autoload", o, "optional", 1)
		p.ok("object_load", o, 0)
		p.want(abi.BUSY, "object_load", o, 0)
		p.want(abi.BUSY, "object_set_map", o, "hash", abi.MapMaxEntries, uint64(3))

		if got := p.variable(o, "answer", 4); binary.NativeEndian.Uint32(got) != 7 {
			t.Errorf("answer is %v after the load", got)
		}
		p.want(abi.ROFS, "object_set_variable", o, "answer", native32(8))
		p.ok("object_set_variable", o, "zeroed", native64(1<<40))
		if got := p.variable(o, "zeroed", 8); binary.NativeEndian.Uint64(got) != 1<<40 {
			t.Errorf("zeroed is %v", got)
		}

		hash := p.handle("object_map", o, "hash")
		info := p.room(64)
		p.ok("map_info", hash, info)
		if m := decode[abi.MapInfo](p, info); m.MaxEntries != 3 || m.KeySize != 4 || m.EntrySize != 8 || m.Values != 1 || m.ID == 0 {
			t.Errorf("map_info %+v", m)
		}
		for i := range uint32(3) {
			p.ok("map_update", hash, native32(i), native64(uint64(i)+100), uint64(abi.UpdateNoExist))
		}
		p.want(abi.EXIST, "map_update", hash, native32(1), native64(0), uint64(abi.UpdateNoExist))
		p.want(abi.NOENT, "map_update", hash, native32(9), native64(0), uint64(abi.UpdateExist))
		p.want(abi.TOOBIG, "map_update", hash, native32(9), native64(0), uint64(0))
		value := p.room(8)
		p.ok("map_lookup", hash, native32(2), value, uint64(0))
		if got := binary.NativeEndian.Uint64(p.read(value)); got != 102 {
			t.Errorf("looked up %d, want 102", got)
		}
		p.want(abi.INVAL, "map_lookup", hash, native32(2), span{value.ptr, 7}, uint64(0))
		p.want(abi.NOENT, "map_lookup", hash, native32(9), value, uint64(0))

		p.ok("close", o)
		p.want(abi.BADF, "close", o)
		p.want(abi.CANCELED, "map_lookup", hash, native32(2), value, uint64(0))
		p.ok("close", hash)
		p.want(abi.BADF, "map_lookup", hash, native32(2), value, uint64(0))
	})
}

func TestObjectItemsListEverything(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.handle("object_open", file(t, variables))
		names := map[uint32][]string{}
		for what := uint32(abi.ItemMap); what <= abi.ItemVariable; what++ {
			for n := uint32(0); ; n++ {
				buf, outLen := p.room(200), p.room(4)
				no := p.call("object_item", o, what, n, buf, ptr(outLen.ptr))
				if no == abi.NOENT {
					break
				}
				if no != abi.SUCCESS {
					t.Fatalf("object_item: %s", p.lastError())
				}
				b := p.read(span{buf.ptr, p.u32(outLen.ptr)})
				item := decode[abi.Item](p, span{buf.ptr, 40})
				names[what] = append(names[what], string(b[40:40+item.NameLen]))
				if want := int(40 + item.NameLen + item.SectionLen); want != len(b) {
					t.Errorf("item %s has %d bytes, want %d", b[40:], len(b), want)
				}
			}
		}
		for what, want := range map[uint32]string{
			abi.ItemMap:      ".bss .data .rodata array hash in0 jumps outer percpu queue stack",
			abi.ItemProgram:  "second first optional",
			abi.ItemVariable: "answer counter zeroed",
		} {
			if got := strings.Join(names[what], " "); got != want {
				t.Errorf("items %d: got %q, want %q", what, got, want)
			}
		}
		p.want(abi.INVAL, "object_item", o, 9, 0, p.room(8), ptr(p.room(4).ptr))
	})
}

func TestObjectRefusesBadBytes(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		out := ptr(p.room(4).ptr)
		p.want(abi.NOEXEC, "object_open", []byte("no object"), out)
		p.want(abi.NOEXEC, "object_open", span{}, out)
		p.want(abi.FAULT, "object_open", span{puppetMemory - 10, 11}, out)
		p.want(abi.FAULT, "object_open", span{0xffffffff, 0xffffffff}, out)
		elf := file(t, variables)
		p.want(abi.FAULT, "object_open", elf, ptr(puppetMemory-2))
		p.want(abi.FAULT, "object_open", elf, ptr(4097))
		p.want(abi.NOEXEC, "object_open", elf[:len(elf)/2], out)
		if n := p.inst.s.Open(); n != 0 {
			t.Errorf("%d handles are open after calls that failed", n)
		}
	})
}

func TestVerifierLogComesWithLastError(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.handle("object_open", file(t, "../wasmbpf/testdata/reject.bpf.o"))
		text := p.want(abi.ACCES, "object_load", o, 0)
		if !strings.Contains(text, "rejected by the verifier") || strings.Count(text, "\n") < 3 {
			t.Errorf("no log in the text: %q", text)
		}
		// A text that does not fit is cut, and the whole length told.
		buf, outLen := p.room(8), p.room(4)
		p.ok("last_error", buf, ptr(outLen.ptr))
		if got := p.read(buf); !bytes.Equal(got, []byte(text)[:8]) || int(p.u32(outLen.ptr)) != len(text) {
			t.Errorf("cut to %q of %d, want %q of %d", got, p.u32(outLen.ptr), text[:8], len(text))
		}
		p.ok("object_set_autoload", o, firstProgram(p, o), 0) // it may be mended and loaded
		p.ok("object_load", o, 0)
	})
}

// variable reads a global variable.
func (p *puppet) variable(o int32, name string, size int) []byte {
	p.t.Helper()
	buf, outLen := p.room(size), p.room(4)
	p.ok("object_get_variable", o, name, buf, ptr(outLen.ptr))
	if n := p.u32(outLen.ptr); int(n) != size {
		p.t.Fatalf("variable %s has %d bytes, want %d", name, n, size)
	}
	return p.read(buf)
}

func firstProgram(p *puppet, o int32) string {
	p.t.Helper()
	buf, outLen := p.room(200), p.room(4)
	p.ok("object_item", o, abi.ItemProgram, 0, buf, ptr(outLen.ptr))
	item := decode[abi.Item](p, span{buf.ptr, 40})
	return string(p.read(span{buf.ptr + 40, item.NameLen}))
}

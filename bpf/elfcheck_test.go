package bpf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// damaged returns one of our objects after f changed its section headers.
func damaged(t *testing.T, name string, f func(i int, s *elf.Section64, name string)) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	table := binary.NativeEndian.Uint64(b[40:])
	for i, s := range file.Sections {
		var h elf.Section64
		at := b[table+uint64(i)*64:]
		if _, err := binary.Decode(at, binary.NativeEndian, &h); err != nil {
			t.Fatal(err)
		}
		f(i, &h, s.Name)
		if _, err := binary.Encode(at, binary.NativeEndian, &h); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestObjectsThatWouldTakeTooMuchAreRefused(t *testing.T) {
	for what, b := range map[string][]byte{
		"more than 64 MiB of global variables": damaged(t, "maps", func(_ int, s *elf.Section64, name string) {
			if name == ".bss" {
				s.Size = 4 << 30
			}
		}),
		"lies outside the file": damaged(t, "maps", func(_ int, s *elf.Section64, name string) {
			if name == ".maps" {
				s.Size = 1 << 31
			}
		}),
		"sections overlap": damaged(t, "maps", func(_ int, s *elf.Section64, name string) {
			if s.Type == uint32(elf.SHT_PROGBITS) {
				s.Off, s.Size = 64, 6000
			}
		}),
		"is compressed": damaged(t, "maps", func(_ int, s *elf.Section64, name string) {
			if name == ".data" {
				s.Flags |= uint64(elf.SHF_COMPRESSED)
			}
		}),
	} {
		_, err := Open(bytes.NewReader(b))
		if !errors.Is(err, ErrFormat) || what != "is compressed" && !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := Open(zeroes{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("endless file: got %v", err)
	}
}

// Symbols and sections that all have the same long name would be copied one by one.
func TestNamesAreBounded(t *testing.T) {
	const long, many = 1 << 20, 100
	names := append(append([]byte{0}, bytes.Repeat([]byte("a"), long)...), 0)
	for what, symbols := range map[string]bool{"symbols": true, "sections": false} {
		var table []byte
		sections := []elf.Section64{{}, {Type: uint32(elf.SHT_STRTAB), Off: 64, Size: uint64(len(names))}}
		at := 64 + uint64(len(names))
		if symbols {
			for range many {
				table, _ = binary.Append(table, binary.NativeEndian, elf.Sym64{Name: 1})
			}
			sections = append(sections, elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: at, Size: uint64(len(table)), Link: 1, Entsize: elf.Sym64Size})
		} else {
			for range many {
				sections = append(sections, elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: at})
			}
		}
		h := elf.Header64{
			Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: 1, Shoff: at + uint64(len(table)), Ehsize: 64, Shentsize: 64,
			Shnum: uint16(len(sections)), Shstrndx: 1,
		}
		copy(h.Ident[:], elf.ELFMAG)
		h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(nativeData), 1
		b, _ := binary.Append(nil, binary.NativeEndian, h)
		b = append(append(b, names...), table...)
		b, _ = binary.Append(b, binary.NativeEndian, sections)
		_, err := Open(bytes.NewReader(b))
		wantError(t, err, ErrFormat, "64 MiB of names")
		if t.Failed() {
			t.Fatal(what)
		}
	}
}

// zeroes is a file without end.
type zeroes struct{}

func (zeroes) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }

// What an object takes in memory grows with what its programs are after the functions that they call were copied into them.
func TestMemoryCountsInstructions(t *testing.T) {
	s := open(t, "maps")
	before := s.Memory()
	p := s.coll.Programs["first"]
	p.Instructions = append(p.Instructions, make(asm.Instructions, 1000)...)
	if got := s.Memory() - before; got < 1000*16 || got > 1000*100 {
		t.Errorf("1000 more instructions take %d bytes more", got)
	}
}

// Many small programs that call one large function would each get a copy of it.
func TestCallsAreBounded(t *testing.T) {
	const large, small = 1 << 16, 1 << 10
	f := &elf.File{FileHeader: elf.FileHeader{ByteOrder: binary.NativeEndian}}
	section := func(name string, n int) {
		code := make([]byte, n)
		f.Sections = append(f.Sections, &elf.Section{
			SectionHeader: elf.SectionHeader{Name: name, Type: elf.SHT_PROGBITS, Flags: elf.SHF_EXECINSTR, Size: uint64(n), FileSize: uint64(n)},
			ReaderAt:      bytes.NewReader(code),
		})
	}
	section(".text", large*8)
	section("xdp", small*16)
	functions := []function{{name: "big", position: position{0, 0}, size: large * 8}}
	for i := range uint64(small) {
		functions = append(functions, function{name: "small", position: position{1, i * 16}, size: 16, calls: []int{0}})
	}
	if err := checkCalls(f, nil, functions); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v", err)
	}
	for i := range functions[1:] {
		functions[i+1].calls = nil
	}
	if err := checkCalls(f, nil, functions); err != nil {
		t.Error(err)
	}
}

func TestHelpersHaveTheNamesOfC(t *testing.T) {
	for _, s := range []string{"events", "core"} {
		for _, p := range open(t, s).Programs() {
			for _, h := range p.Helpers {
				if !strings.HasPrefix(h, "bpf_") {
					t.Errorf("%s: %s", p.Name, h)
				}
			}
		}
	}
}

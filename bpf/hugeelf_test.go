package bpf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// section is one section of an ELF file that a test makes.
type section struct {
	name string
	elf.Section64
	data []byte
}

// object writes a BPF object: sections 1 to n are those given, and after them the symbols, their names, and the names of the sections.
func object(t testing.TB, sections []section, symbols []elf.Sym64, names []byte) []byte {
	t.Helper()
	table, err := binary.Append(make([]byte, elf.Sym64Size), binary.NativeEndian, symbols)
	if err != nil {
		t.Fatal(err)
	}
	n := uint32(len(sections))
	sections = append(sections,
		section{".symtab", elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: n + 2, Entsize: elf.Sym64Size, Info: 1}, table},
		section{".strtab", elf.Section64{Type: uint32(elf.SHT_STRTAB)}, append([]byte{0}, names...)},
		section{".shstrtab", elf.Section64{Type: uint32(elf.SHT_STRTAB)}, nil})
	last := &sections[len(sections)-1]
	headers := []elf.Section64{{}}
	last.data = []byte{0}
	for i := range sections {
		sections[i].Name = uint32(len(last.data))
		last.data = append(append(last.data, sections[i].name...), 0)
	}
	b := make([]byte, 64)
	for _, s := range sections {
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
		s.Off = uint64(len(b))
		if s.Type != uint32(elf.SHT_NOBITS) {
			s.Size = uint64(len(s.data))
		}
		s.Addralign = 8
		b = append(b, s.data...)
		headers = append(headers, s.Section64)
	}
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	h := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: 1, Shoff: uint64(len(b)), Ehsize: 64, Shentsize: 64,
		Shnum: uint16(len(headers)), Shstrndx: uint16(len(headers) - 1),
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(nativeData), 1
	if _, err := binary.Encode(b, binary.NativeEndian, &h); err != nil {
		t.Fatal(err)
	}
	b, err = binary.Append(b, binary.NativeEndian, headers)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var license = section{"license", elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE)}, []byte("GPL\x00")}

func codeSection(name string, insns int) section {
	b := bytes.Repeat([]byte{0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0}, insns/2)
	return section{name, elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR)}, b}
}

// function is a symbol of a function of 16 bytes.
func functionSymbol(name int, value uint64) elf.Sym64 {
	return elf.Sym64{Name: uint32(name), Shndx: 1, Value: value, Size: 16, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC)}
}

// Parsing grows with the square of some of these, and with all of the others.
func TestHugeObjectsAreRefused(t *testing.T) {
	one := []elf.Sym64{functionSymbol(1, 0)}
	bss := section{".bss", elf.Section64{Type: uint32(elf.SHT_NOBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE), Size: 8}, nil}
	types := section{".BTF", elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, make([]byte, 4<<20+1)}
	var functions []elf.Sym64
	var names []byte
	for i := range 8<<10 + 1 {
		functions = append(functions, functionSymbol(1+len(names), uint64(16*i)))
		names = append(names, fmt.Sprintf("f%d\x00", i)...)
	}
	relocations := section{".relxdp", elf.Section64{Type: uint32(elf.SHT_REL), Info: 1, Link: 4, Entsize: 16}, make([]byte, 16*(128<<10+1))}
	for what, b := range map[string][]byte{
		"8192 functions":         object(t, []section{codeSection("xdp", 2*len(functions)), license}, functions, names),
		"65536 symbols":          object(t, []section{codeSection("xdp", 2), license}, slices.Repeat(one, 64<<10), []byte("f\x00")),
		"131072 relocations":     object(t, []section{codeSection("xdp", 2), license, relocations}, one, []byte("f\x00")),
		"4096 sections":          object(t, slices.Repeat([]section{bss}, 4<<10), one, []byte("f\x00")),
		"2 million instructions": object(t, []section{codeSection("xdp", 2<<20+2), license}, one, []byte("f\x00")),
		"4 MiB":                  object(t, []section{codeSection("xdp", 2), license, types}, one, []byte("f\x00")),
	} {
		_, err := Open(bytes.NewReader(b))
		wantError(t, err, ErrFormat, "more than "+what)
	}
}

// What is charged for type information is more than it has in the file.
func TestMemoryCountsTypes(t *testing.T) {
	s := open(t, "maps")
	before := s.Memory()
	s.types += 1000
	if got := s.Memory() - before; s.types == 1000 || got < 5000 {
		t.Errorf("%d bytes of types in the file; 1000 more take %d", s.types-1000, got)
	}
}

// program makes a file that uprobes can be attached to.
func program(t *testing.T, symbols []elf.Sym64, names []byte) string {
	t.Helper()
	b := object(t, []section{codeSection(".text", 2)}, symbols, names)
	binary.NativeEndian.PutUint16(b[16:], uint16(elf.ET_DYN))
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, b, 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// Symbols that all have the same long name are copied one by one by debug/elf.
func TestNamesOfProgramsAreBounded(t *testing.T) {
	names := append(bytes.Repeat([]byte("a"), 1<<20), 0)
	x, err := openExecutable(program(t, slices.Repeat([]elf.Sym64{functionSymbol(1, 0)}, 100), names))
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	for what, look := range map[string]func() error{
		"function": func() error { _, err := x.function("main"); return err },
		"pattern":  func() error { _, err := x.matches("a*"); return err },
		"list":     func() error { _, err := x.places(Target{Symbols: []string{"main"}}); return err },
	} {
		if err := look(); !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "too long or too many") {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// Each symbol and each probe is looked for in all segments.
func TestSegmentsOfProgramsAreBounded(t *testing.T) {
	f := &elf.File{}
	for range 1000 {
		f.Progs = append(f.Progs, &elf.Prog{ProgHeader: elf.ProgHeader{Type: elf.PT_LOAD, Flags: elf.PF_X}})
	}
	if n := len(codeOf(f)); n != maxLoads {
		t.Errorf("%d segments are looked at, want %d", n, maxLoads)
	}
}

// The files of a container may be anything: a pipe that nobody writes to, and lists without end.
func TestListsOfDirectoriesMayBeHostile(t *testing.T) {
	root := t.TempDir()
	etc := filepath.Join(root, "etc")
	if err := errors.Join(os.Mkdir(etc, 0o700), unix.Mkfifo(filepath.Join(etc, "ld.so.conf"), 0o600), os.Mkdir(filepath.Join(etc, "ld.so.conf.d"), 0o700),
		os.WriteFile(filepath.Join(etc, "ld.so.conf.d", "a.conf"), bytes.Repeat([]byte("/lib/hostile\n"), 1<<16), 0o600)); err != nil {
		t.Fatal(err)
	}
	if n := len(libraryDirs(root)); n > maxDirs {
		t.Errorf("%d directories, more than %d", n, maxDirs)
	}
}

package bpf

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits on what [Open] reads, so that a hostile object cannot make it take more than a few hundred megabytes.
const (
	maxObjectSize   = 64 << 20 // bytes of the file
	maxDataSize     = 64 << 20 // bytes of global variables
	maxInstructions = 2 << 20  // after every program got its own copy of the functions it calls
	maxTypes        = 4 << 20  // bytes of .BTF and of .BTF.ext
	maxSections     = 4 << 10
	maxSymbols      = 64 << 10
	maxFunctions    = 8 << 10
	maxRelocations  = 128 << 10
)

// readObject reads all of an object, at most maxObjectSize bytes.
func readObject(r io.ReaderAt) ([]byte, error) {
	b, err := io.ReadAll(io.NewSectionReader(r, 0, maxObjectSize+1))
	if err != nil {
		return nil, fmt.Errorf("read BPF object: %w", err)
	}
	if len(b) > maxObjectSize {
		return nil, &FormatError{Reason: fmt.Sprintf("larger than %d MiB", maxObjectSize>>20)}
	}
	return b, nil
}

// checkIdent looks at the first bytes of an ELF file and says what is wrong in words that help.
func checkIdent(b []byte) error {
	switch {
	case len(b) == 0:
		return &FormatError{Reason: "empty file"}
	case bytes.HasPrefix(b, []byte("\x00asm")):
		return &FormatError{Reason: "a WebAssembly module, not an ELF file; a BPF object is what clang -target bpf writes"}
	case bytes.HasPrefix(b, []byte("BC\xc0\xde")):
		return &FormatError{Reason: "LLVM bitcode, not an ELF file; compile without -emit-llvm and -flto"}
	case !bytes.HasPrefix(b, []byte(elf.ELFMAG)):
		return &FormatError{Reason: fmt.Sprintf("not an ELF file (it starts with % x)", b[:min(4, len(b))])}
	case len(b) < 64:
		return &FormatError{Reason: "truncated ELF file"}
	case elf.Class(b[elf.EI_CLASS]) != elf.ELFCLASS64:
		return &FormatError{Reason: "a 32-bit ELF file; BPF objects are 64-bit (clang -target bpf)"}
	}
	data := elf.Data(b[elf.EI_DATA])
	if data != elf.ELFDATA2LSB && data != elf.ELFDATA2MSB {
		return &FormatError{Reason: "an ELF file without a valid byte order"}
	}
	machine := elf.Machine(uint16(b[18]) | uint16(b[19])<<8)
	if data == elf.ELFDATA2MSB {
		machine = elf.Machine(uint16(b[19]) | uint16(b[18])<<8)
	}
	if machine != elf.EM_BPF && machine != elf.EM_NONE {
		return &FormatError{Reason: fmt.Sprintf("an ELF file for %s, not for BPF; compile with clang -target bpf", machine)}
	}
	if data != nativeData {
		return &FormatError{Reason: fmt.Sprintf("%s BPF, but this machine is %s; compile with -target %s", endianName(data), endianName(nativeData), targetName)}
	}
	return nil
}

func endianName(d elf.Data) string {
	if d == elf.ELFDATA2MSB {
		return "big-endian"
	}
	return "little-endian"
}

// position is where a function starts in the file, to sort programs by position.
type position struct {
	section elf.SectionIndex
	offset  uint64
}

// checkELF refuses what would make the parser behind it take time or memory out of proportion to the file, and returns where
// each function lies, and how many bytes of type information there are.
func checkELF(b []byte) (where map[string]position, types uint64, err error) {
	if err := checkNames(b); err != nil {
		return nil, 0, err
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, 0, &FormatError{Reason: "damaged ELF file: " + strings.TrimPrefix(err.Error(), "elf: "), Cause: err}
	}
	if f.Type != elf.ET_REL && f.Type != elf.ET_NONE {
		return nil, 0, &FormatError{Reason: fmt.Sprintf("an ELF file of type %s; a BPF object is a relocatable file (clang -c)", f.Type)}
	}
	if err := checkSections(f, uint64(len(b))); err != nil {
		return nil, 0, err
	}
	symbols, err := f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil, 0, &FormatError{Reason: "no symbol table; strip it with llvm-strip -g only", Cause: err}
	}
	if err != nil {
		return nil, 0, &FormatError{Reason: "damaged symbol table: " + err.Error(), Cause: err}
	}
	for _, s := range f.Sections {
		if isTypes(s) {
			types += s.Size
		}
	}
	where, err = checkSymbols(f, symbols)
	return where, types, err
}

// isTypes reports whether a section holds type information.
func isTypes(s *elf.Section) bool { return s.Name == ".BTF" || s.Name == ".BTF.ext" }

func isData(name string) bool {
	return name == ".bss" || strings.HasPrefix(name, ".data") || strings.HasPrefix(name, ".rodata")
}

func checkSections(f *elf.File, size uint64) error {
	var inFile, data, code, relocations uint64
	for i, s := range f.Sections {
		if s.Type == elf.SHT_NULL {
			continue
		}
		if s.Flags&elf.SHF_COMPRESSED != 0 {
			return &FormatError{Reason: fmt.Sprintf("section %q is compressed", s.Name)}
		}
		switch {
		case isCode(s):
			code += min(s.Size, maxObjectSize)
		case s.Type == elf.SHT_REL || s.Type == elf.SHT_RELA:
			relocations += min(s.Size, maxObjectSize) / 16
		case isTypes(s) && s.Size > maxTypes:
			return &FormatError{Reason: fmt.Sprintf("section %s has more than %d MiB", s.Name, maxTypes>>20)}
		}
		if isData(s.Name) {
			data += min(s.Size, maxDataSize+1)
		}
		if s.Type == elf.SHT_NOBITS {
			if !isData(s.Name) && s.Size > 0 && !strings.HasPrefix(s.Name, ".") {
				return &FormatError{Reason: fmt.Sprintf("section %q has no contents", s.Name)}
			}
			if s.Name == ".maps" {
				return &FormatError{Reason: "section .maps has no contents"}
			}
		} else {
			if s.Offset > size || s.FileSize > size-s.Offset {
				return &FormatError{Reason: fmt.Sprintf("section %d (%q) lies outside the file: truncated?", i, s.Name)}
			}
			inFile += s.FileSize
		}
	}
	switch {
	case inFile > size:
		return &FormatError{Reason: "sections overlap"}
	case code > 8*maxInstructions:
		return &FormatError{Reason: fmt.Sprintf("more than %d million instructions", maxInstructions>>20)}
	case relocations > maxRelocations:
		return &FormatError{Reason: fmt.Sprintf("more than %d relocations", maxRelocations)}
	case data > maxDataSize:
		return &FormatError{Reason: fmt.Sprintf("more than %d MiB of global variables", maxDataSize>>20)}
	}
	return nil
}

// checkSymbols bounds what is copied once per symbol: variables and functions that overlap.
func checkSymbols(f *elf.File, symbols []elf.Symbol) (map[string]position, error) {
	spans := make(map[elf.SectionIndex]map[uint64]function) // the last symbol at an offset wins, as in the parser
	for _, s := range symbols {
		if int(s.Section) >= len(f.Sections) || s.Name == "" {
			continue
		}
		kind := elf.ST_TYPE(s.Info)
		named := kind == elf.STT_OBJECT || kind == elf.STT_NOTYPE
		if isCode(f.Sections[s.Section]) {
			named = kind == elf.STT_FUNC || kind == elf.STT_NOTYPE && elf.ST_BIND(s.Info) != elf.STB_LOCAL
		}
		if !named {
			continue
		}
		if spans[s.Section] == nil {
			spans[s.Section] = make(map[uint64]function)
		}
		spans[s.Section][s.Value] = function{name: s.Name, position: position{s.Section, s.Value}, size: s.Size}
	}
	where := make(map[string]position)
	var functions []function
	for idx, m := range spans {
		sec := f.Sections[idx]
		if !isCode(sec) && !isData(sec.Name) && sec.Name != ".maps" {
			continue
		}
		var sum uint64
		for _, s := range m {
			if s.size > sec.Size || s.offset > sec.Size-s.size {
				return nil, &FormatError{Reason: fmt.Sprintf("symbol %q lies outside its section %q", s.name, sec.Name)}
			}
			if sum += s.size; sum > 2*sec.Size {
				return nil, &FormatError{Reason: fmt.Sprintf("symbols of section %q overlap", sec.Name)}
			}
			if isCode(sec) {
				where[s.name] = s.position
				functions = append(functions, s)
			}
		}
	}
	if len(functions) > maxFunctions {
		return nil, &FormatError{Reason: fmt.Sprintf("more than %d functions", maxFunctions)}
	}
	return where, checkCalls(f, symbols, functions)
}

func isCode(s *elf.Section) bool {
	return s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_EXECINSTR != 0
}

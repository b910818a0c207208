package bpf

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// function is a function or a variable of an ELF file.
type function struct {
	name string
	position
	size  uint64
	calls []int // indexes of functions
}

// checkCalls bounds what linking will take: every program gets its own copy of all the functions that it reaches, so a small
// file with many programs that call a large function would need memory without end.
func checkCalls(f *elf.File, symbols []elf.Symbol, functions []function) error {
	slices.SortFunc(functions, func(a, b function) int {
		if a.section != b.section {
			return int(a.section) - int(b.section)
		}
		if a.offset < b.offset {
			return -1
		}
		return 1
	})
	for _, rel := range f.Sections {
		if rel.Type != elf.SHT_REL || int(rel.Info) >= len(f.Sections) || !isCode(f.Sections[rel.Info]) {
			continue
		}
		if err := addRelocatedCalls(f, rel, symbols, functions); err != nil {
			return err
		}
	}
	addRelativeCalls(f, functions)

	var total uint64
	seen := make([]int, len(functions)) // 1 + the program that reached it last
	var stack []int
	for i := range functions {
		if f.Sections[functions[i].section].Name == ".text" {
			continue
		}
		stack = append(stack[:0], i)
		for len(stack) > 0 {
			n := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[n] == i+1 {
				continue
			}
			seen[n] = i + 1
			if total += functions[n].size/8 + 1; total > maxInstructions {
				return &FormatError{Reason: fmt.Sprintf("its programs, with the functions they call, have more than %d million instructions", maxInstructions>>20)}
			}
			stack = append(stack, functions[n].calls...)
		}
	}
	return nil
}

// at returns the index of the function that covers an offset, -1 if there is none.
func at(functions []function, section elf.SectionIndex, offset uint64) int {
	i := sort.Search(len(functions), func(i int) bool {
		return functions[i].section > section || functions[i].section == section && functions[i].offset > offset
	}) - 1
	if i < 0 || functions[i].section != section || offset >= functions[i].offset+max(functions[i].size, 8) {
		return -1
	}
	return i
}

// addRelocatedCalls adds what a section's relocations refer to.
func addRelocatedCalls(f *elf.File, rel *elf.Section, symbols []elf.Symbol, functions []function) error {
	section := elf.SectionIndex(rel.Info)
	entries, err := rel.Data()
	if err != nil {
		return &FormatError{Reason: fmt.Sprintf("section %q cannot be read", rel.Name), Cause: err}
	}
	code, err := f.Sections[section].Data()
	if err != nil {
		return &FormatError{Reason: fmt.Sprintf("section %q cannot be read", f.Sections[section].Name), Cause: err}
	}
	if rel.Entsize != 16 {
		return &FormatError{Reason: fmt.Sprintf("section %q has entries of %d bytes", rel.Name, rel.Entsize)}
	}
	for ; len(entries) >= 16; entries = entries[16:] {
		offset := f.ByteOrder.Uint64(entries)
		number := f.ByteOrder.Uint64(entries[8:]) >> 32
		if number == 0 || number > uint64(len(symbols)) || offset > uint64(len(code)) || uint64(len(code))-offset < 8 {
			continue // the parser refuses it or does not look at it
		}
		s := symbols[number-1]
		if int(s.Section) >= len(f.Sections) || !isCode(f.Sections[s.Section]) {
			continue
		}
		target := s.Value
		imm := int64(int32(f.ByteOrder.Uint32(code[offset+4:])))
		switch {
		case code[offset] == 0x18: // the address of a function
			target = uint64(imm)
		case elf.ST_TYPE(s.Info) == elf.STT_SECTION: // a call
			target = uint64((imm + 1) * 8)
		}
		from, to := at(functions, section, offset), at(functions, s.Section, target)
		if from >= 0 && to >= 0 {
			functions[from].calls = append(functions[from].calls, to)
		}
	}
	return nil
}

// addRelativeCalls adds calls without relocation, as old compilers write them within a section.
func addRelativeCalls(f *elf.File, functions []function) {
	for i := range functions {
		fn := &functions[i]
		code := make([]byte, fn.size)
		if _, err := f.Sections[fn.section].ReadAt(code, int64(fn.offset)); err != nil {
			continue
		}
		for off := uint64(0); off+8 <= fn.size; off += 8 {
			src := code[off+1] >> 4
			if f.ByteOrder == binary.ByteOrder(binary.BigEndian) {
				src = code[off+1] & 0xf
			}
			if code[off] != 0x85 || src != 1 {
				continue
			}
			imm := int64(int32(f.ByteOrder.Uint32(code[off+4:])))
			if to := at(functions, fn.section, uint64(int64(fn.offset+off)+8+imm*8)); to >= 0 {
				fn.calls = append(fn.calls, to)
			}
		}
		slices.Sort(fn.calls)
		fn.calls = slices.Compact(fn.calls)
	}
}

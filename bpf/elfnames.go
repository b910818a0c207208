package bpf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// maxNames bounds the names of all sections and symbols together. The parser makes a copy of each, and in a hostile file they may all
// be the same long text: 3000 symbols in a file of 1 MB took 5 GB.
const maxNames = maxObjectSize

// nameCount counts what the names of a file take.
type nameCount struct {
	file []byte
	left int
}

// checkNames looks at the names before the parser does, in a file that checkIdent has passed. What is damaged otherwise is left to the
// parser.
func checkNames(b []byte) error {
	var h elf.Header64
	if _, err := binary.Decode(b, binary.NativeEndian, &h); err != nil || h.Shoff == 0 {
		return nil
	}
	if h.Shnum == 0 || h.Shstrndx == uint16(elf.SHN_XINDEX) || h.Shentsize != 64 {
		return &FormatError{Reason: "damaged ELF file: no plain table of sections"}
	}
	if h.Shnum > maxSections {
		return &FormatError{Reason: fmt.Sprintf("more than %d sections", maxSections)}
	}
	sections := make([]elf.Section64, h.Shnum)
	for i := range sections {
		at := h.Shoff + 64*uint64(i)
		if at < h.Shoff || at > uint64(len(b)) {
			return nil
		}
		if _, err := binary.Decode(b[at:], binary.NativeEndian, &sections[i]); err != nil {
			return nil
		}
	}
	n := &nameCount{b, maxNames}
	if int(h.Shstrndx) < len(sections) {
		table := &sections[h.Shstrndx]
		if table.Flags&uint64(elf.SHF_COMPRESSED) != 0 {
			return &FormatError{Reason: "the table of section names is compressed"}
		}
		for i := range sections {
			n.take(table, sections[i].Name)
		}
	}
	symbols := uint64(0)
	for i := range sections {
		s := &sections[i]
		if t := elf.SectionType(s.Type); t != elf.SHT_SYMTAB && t != elf.SHT_DYNSYM || uint64(s.Link) >= uint64(len(sections)) {
			continue
		}
		if symbols += uint64(len(n.data(s))) / elf.Sym64Size; symbols > maxSymbols {
			return &FormatError{Reason: fmt.Sprintf("more than %d symbols; strip what is not needed (llvm-strip -g)", maxSymbols)}
		}
		for syms := n.data(s); len(syms) >= elf.Sym64Size && n.left >= 0; syms = syms[elf.Sym64Size:] {
			n.take(&sections[s.Link], binary.NativeEndian.Uint32(syms))
		}
	}
	if n.left < 0 {
		return &FormatError{Reason: fmt.Sprintf("more than %d MiB of names of symbols and sections", maxNames>>20)}
	}
	return nil
}

// data is what a section has in the file.
func (n *nameCount) data(s *elf.Section64) []byte {
	if s.Off > uint64(len(n.file)) {
		return nil
	}
	return n.file[s.Off:][:min(s.Size, uint64(len(n.file))-s.Off)]
}

// take counts the name at an offset of a table.
func (n *nameCount) take(table *elf.Section64, offset uint32) {
	text := n.data(table)
	if n.left < 0 || uint64(offset) >= uint64(len(text)) {
		return
	}
	text = text[offset:]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	n.left -= len(text)
}

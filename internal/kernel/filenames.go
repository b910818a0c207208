package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
)

// Bounds on the names of a hostile file: debug/elf makes a copy of the name of each section and symbol, and they may all be the same long
// text.
const (
	maxNames        = 64 << 20 // bytes, of all symbols together
	maxSectionNames = 1 << 20  // bytes of the table
	maxSectionName  = 1 << 10
)

// sectionNamesFit looks at the table of section names before debug/elf does. It is false for a file that is none.
func sectionNamesFit(r io.ReaderAt) bool {
	var head [64]byte
	if n, _ := r.ReadAt(head[:], 0); n < 52 || string(head[:4]) != elf.ELFMAG {
		return false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	var table, entry, index, offset, size uint64
	wide := elf.Class(head[elf.EI_CLASS]) == elf.ELFCLASS64
	if wide {
		table, entry, index = order.Uint64(head[40:]), uint64(order.Uint16(head[58:])), uint64(order.Uint16(head[62:]))
	} else {
		table, entry, index = uint64(order.Uint32(head[32:])), uint64(order.Uint16(head[46:])), uint64(order.Uint16(head[50:]))
	}
	if table == 0 {
		return true
	}
	if table > 1<<40 || index == uint64(elf.SHN_XINDEX) {
		return false
	}
	var section [64]byte
	if n, _ := r.ReadAt(section[:], int64(table+index*entry)); n < 40 {
		return false
	}
	if wide {
		offset, size = order.Uint64(section[24:]), order.Uint64(section[32:])
	} else {
		offset, size = uint64(order.Uint32(section[16:])), uint64(order.Uint32(section[20:]))
	}
	if size > maxSectionNames || offset > 1<<40 {
		return false
	}
	names := make([]byte, size)
	n, _ := r.ReadAt(names, int64(offset))
	for rest := names[:n]; len(rest) > 0; {
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			end = len(rest) - 1
		}
		if end > maxSectionName {
			return false
		}
		rest = rest[end+1:]
	}
	return true
}

// symbolNamesFit adds up the names of all symbols. The sizes of the sections must have been looked at.
func symbolNamesFit(f *elf.File) bool {
	length := 16
	if f.Class == elf.ELFCLASS64 {
		length = elf.Sym64Size
	}
	left := maxNames
	for _, s := range f.Sections {
		if s.Type != elf.SHT_SYMTAB && s.Type != elf.SHT_DYNSYM || int(s.Link) >= len(f.Sections) {
			continue
		}
		symbols, err := s.Data()
		if err != nil {
			return false
		}
		names, err := f.Sections[s.Link].Data()
		if err != nil {
			return false
		}
		for ; len(symbols) >= length; symbols = symbols[length:] {
			at := uint64(f.ByteOrder.Uint32(symbols))
			if at >= uint64(len(names)) {
				continue
			}
			name := names[at:]
			end := bytes.IndexByte(name[:min(len(name), left+1)], 0)
			if end < 0 {
				end = min(len(name), left+1)
			}
			if left -= end; left < 0 {
				return false
			}
		}
	}
	return true
}

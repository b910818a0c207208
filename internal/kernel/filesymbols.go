package kernel

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"io"
	"slices"
)

// fileSymbols are the functions of a program or library, by their place in the file and without a pointer per function.
type fileSymbols struct {
	starts []uint64
	sizes  []uint32
	names  []uint32 // where a name starts in text; it ends with a zero byte
	text   []byte
}

func (t *fileSymbols) memory() int { return 16*len(t.starts) + len(t.text) }

// find returns the function at an offset in the file. A function without a size reaches to the next one.
func (t *fileSymbols) find(offset uint64) (name string, inside uint64, ok bool) {
	i, exact := slices.BinarySearch(t.starts, offset)
	if !exact {
		i--
	}
	if i < 0 || i >= len(t.starts) {
		return "", 0, false
	}
	inside = offset - t.starts[i]
	if size := uint64(t.sizes[i]); size != 0 && inside >= size {
		return "", 0, false
	}
	b := t.text[t.names[i]:]
	return string(b[:bytes.IndexByte(b, 0)]), inside, true
}

// Bounds on what a hostile file can make us read.
const (
	maxSymbolTable = 32 << 20 // bytes of each section
	maxFunctions   = 1 << 20
	maxLoads       = 64
)

// errNames is what a file is refused for that would take memory out of proportion.
var errNames = errors.New("the names of its sections or symbols are too long or too many")

// OpenELF reads the headers of an ELF file that may be hostile. Look at its symbols with [CheckSymbols] before debug/elf does.
func OpenELF(r io.ReaderAt) (*elf.File, error) {
	if !sectionNamesFit(r) {
		return nil, errNames
	}
	return elf.NewFile(r)
}

// CheckSymbols refuses a file whose symbols would take memory out of proportion to read.
func CheckSymbols(f *elf.File, size int64) error {
	for _, s := range f.Sections {
		switch s.Type {
		case elf.SHT_SYMTAB, elf.SHT_DYNSYM, elf.SHT_STRTAB:
			if s.Size > maxSymbolTable || int64(s.Offset) > size {
				return errNames
			}
		}
		if (s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_DYNSYM) && int(s.Link) < len(f.Sections) && f.Sections[s.Link].Size > maxSymbolTable {
			return errNames
		}
	}
	if !symbolNamesFit(f) {
		return errNames
	}
	return nil
}

// readFileSymbols reads the functions of a file that may be hostile; none if it is damaged or no ELF file.
func readFileSymbols(r io.ReaderAt, size int64) (t *fileSymbols) {
	t = &fileSymbols{}
	defer func() {
		if recover() != nil { // debug/elf does not check all that it reads
			t = &fileSymbols{}
		}
	}()
	f, err := OpenELF(r)
	if err != nil || CheckSymbols(f, size) != nil {
		return t
	}
	var loads []*elf.Prog
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && len(loads) < maxLoads {
			loads = append(loads, p)
		}
	}
	symbols, _ := f.Symbols()
	dynamic, _ := f.DynamicSymbols()
	type function struct {
		start, size uint64
		name        string
	}
	var list []function
	for _, s := range append(symbols, dynamic...) {
		kind := elf.ST_TYPE(s.Info)
		if (kind != elf.STT_FUNC && kind != elf.STT_GNU_IFUNC) || s.Section == elf.SHN_UNDEF || s.Name == "" || len(list) >= maxFunctions {
			continue
		}
		for _, p := range loads {
			if s.Value >= p.Vaddr && s.Value-p.Vaddr < p.Filesz {
				list = append(list, function{s.Value - p.Vaddr + p.Off, s.Size, s.Name})
				break
			}
		}
	}
	slices.SortStableFunc(list, func(a, b function) int { return cmp.Compare(a.start, b.start) })
	list = slices.CompactFunc(list, func(a, b function) bool { return a.start == b.start })
	for _, fn := range list {
		t.starts = append(t.starts, fn.start)
		t.sizes = append(t.sizes, uint32(min(fn.size, 1<<32-1)))
		t.names = append(t.names, uint32(len(t.text)))
		t.text = append(append(t.text, fn.name...), 0)
	}
	return t
}

package bpf

import (
	"debug/elf"
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// executable is what uprobes need to know of a program or library: its functions, as offsets in the file.
type executable struct {
	path  string
	file  *elf.File
	size  int64
	loads []*elf.Prog // with code
	close func() error
}

// openExecutable opens a file that may be hostile.
func openExecutable(file string) (x *executable, err error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0) // a named pipe must not block
	if err != nil {
		return nil, badTarget("%w", err)
	}
	defer func() {
		if x == nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, badTarget("%s is no program or library", file)
	}
	defer recoverELF(file, &err)
	e, err := kernel.OpenELF(f)
	if err != nil || (e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN) {
		return nil, badTarget("%s is no program or library (ELF)", file)
	}
	return &executable{path: file, file: e, size: st.Size(), loads: codeOf(e), close: f.Close}, nil
}

// maxLoads bounds the segments of a file that may be hostile: each symbol and probe is looked for in all of them.
const maxLoads = 64

func codeOf(f *elf.File) (loads []*elf.Prog) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && len(loads) < maxLoads {
			loads = append(loads, p)
		}
	}
	return loads
}

// recoverELF turns a panic of debug/elf, which does not check all it reads, into an error.
func recoverELF(file string, err *error) {
	if r := recover(); r != nil {
		*err = badTarget("%s is damaged: %v", file, r)
	}
}

// functions lists the functions whose names the function wants, with their offsets in the file.
func (x *executable) functions(want func(string) bool) (found map[string]uint64, err error) {
	defer recoverELF(x.path, &err)
	if err := kernel.CheckSymbols(x.file, x.size); err != nil {
		return nil, badTarget("%s: %w; give an offset in the file: %s:0x1234", x.path, err, x.path)
	}
	syms, err := x.file.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, badTarget("%s: %w", x.path, err)
	}
	dyn, err := x.file.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, badTarget("%s: %w", x.path, err)
	}
	found = map[string]uint64{}
	for _, s := range append(syms, dyn...) {
		t := elf.ST_TYPE(s.Info)
		if (t != elf.STT_FUNC && t != elf.STT_GNU_IFUNC) || s.Section == elf.SHN_UNDEF || !want(s.Name) {
			continue
		}
		if t == elf.STT_GNU_IFUNC && found[s.Name] != 0 {
			continue
		}
		if off, ok := x.offset(s.Value); ok {
			found[s.Name] = off
		}
	}
	return found, nil
}

// offset is where an address lies in the file.
func (x *executable) offset(addr uint64) (uint64, bool) {
	for _, p := range x.loads {
		if addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			return addr - p.Vaddr + p.Off, true
		}
	}
	return 0, false
}

// function is the offset of one function. A version ("memcpy@@GLIBC_2.14") is ignored.
func (x *executable) function(name string) (uint64, error) {
	plain, _, _ := strings.Cut(name, "@")
	found, err := x.functions(func(s string) bool { return s == plain })
	if err != nil {
		return 0, err
	}
	off, ok := found[plain]
	if !ok {
		return 0, noSuch("%s has no function %s; look with nm -D, or give an offset in the file: %s:0x1234", x.path, short(plain), x.path)
	}
	return off, nil
}

// matches lists the offsets of all functions that fit a pattern, ascending.
func (x *executable) matches(pattern string) ([]uint64, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, badTarget("pattern %q: %w", short(pattern), err)
	}
	found, err := x.functions(func(s string) bool { ok, _ := path.Match(pattern, s); return ok })
	if err != nil {
		return nil, err
	}
	var offsets []uint64
	for _, off := range found {
		offsets = append(offsets, off)
	}
	slices.Sort(offsets)
	offsets = slices.Compact(offsets) // several names for one function
	switch {
	case len(offsets) == 0:
		return nil, noSuch("no function of %s fits %q", x.path, short(pattern))
	case len(offsets) > maxMatches:
		return nil, badTarget("%d functions of %s fit %q, more than %d; give a narrower pattern", len(offsets), x.path, short(pattern), maxMatches)
	}
	return offsets, nil
}

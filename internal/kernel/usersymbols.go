package kernel

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// UserSymbol is a place in the code of a process.
type UserSymbol struct {
	// Module is the path of the mapped file as the process sees it, or a name in brackets such as "[vdso]"; empty for memory without
	// a file (code made at run time).
	Module string
	// Name is the function, empty if the file has no symbol for the place (it is stripped). Offset is in the function, or in the file
	// if there is none.
	Name   string
	Offset uint64
}

// ProcessSymbols answers which function an address of a process lies in, for profilers: from the process's list of mapped files
// and the symbol tables of these. The zero value reads nothing until it is asked. Tables are kept, for some tens of files and in a
// bounded amount of memory; lists of mappings for a second. It is for use by several goroutines at once.
type ProcessSymbols struct {
	// mu guards the fields that follow.
	mu    sync.Mutex
	maps  map[int]*processMaps
	files map[fileID]*fileSymbols
	order []fileID // of files, the one used last at the end
	bytes int
}

// Bounds on what is kept.
const (
	maxProcesses   = 64
	maxFiles       = 64
	maxSymbolBytes = 64 << 20
	mapsAge        = time.Second
)

// Find returns the place that an address of a process lies in. An address that nothing is mapped at, or a process that is gone,
// matches [ErrNoSymbol], the latter also ESRCH; a process that may not be looked at matches [os.ErrPermission].
func (p *ProcessSymbols) Find(pid int, address uint64) (UserSymbol, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, ok, err := p.mapping(pid, address)
	if err != nil {
		return UserSymbol{}, fmt.Errorf("address %#x of process %d: %w", address, pid, err)
	}
	if !ok {
		return UserSymbol{}, fmt.Errorf("address %#x of process %d: %w: nothing is mapped there", address, pid, ErrNoSymbol)
	}
	found := UserSymbol{Module: m.path, Offset: address - m.start + m.offset}
	if m.id.inode == 0 {
		return found, nil
	}
	table := p.file(pid, m)
	if name, off, ok := table.find(found.Offset); ok {
		found.Name, found.Offset = name, off
	}
	return found, nil
}

// processMaps is the list of mappings of a process with code.
type processMaps struct {
	read time.Time
	list []mapping
}

type mapping struct {
	start, end, offset uint64
	id                 fileID
	path               string
}

// fileID tells files apart, also when a path gets another file.
type fileID struct {
	dev, inode  uint64
	size, mtime int64
}

// mapping finds what is mapped at an address.
func (p *ProcessSymbols) mapping(pid int, address uint64) (mapping, bool, error) {
	known := p.maps[pid]
	for range 2 {
		if known != nil {
			i, ok := slices.BinarySearchFunc(known.list, address, func(m mapping, a uint64) int {
				switch {
				case m.end <= a:
					return -1
				case m.start > a:
					return 1
				}
				return 0
			})
			if fresh := time.Since(known.read) < mapsAge; fresh || p.maps[pid] != known {
				if ok {
					return known.list[i], true, nil
				}
				return mapping{}, false, nil
			}
		}
		list, err := readMaps(pid)
		if err != nil {
			delete(p.maps, pid)
			return mapping{}, false, err
		}
		known = &processMaps{read: time.Now(), list: list}
		if p.maps == nil || len(p.maps) >= maxProcesses {
			p.maps = make(map[int]*processMaps)
		}
		p.maps[pid] = known
	}
	return mapping{}, false, nil
}

// maxMappings bounds what one process can make us keep.
const maxMappings = 1 << 16

func readMaps(pid int) ([]mapping, error) {
	if pid <= 0 {
		return nil, fmt.Errorf("%w: no process: %w", ErrNoSymbol, unix.ESRCH)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, goneProcess(err)
	}
	defer f.Close()
	list, err := parseMaps(f)
	if err != nil {
		return nil, goneProcess(err)
	}
	return list, nil
}

func goneProcess(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%w: no such process: %w", ErrNoSymbol, unix.ESRCH)
	}
	return err
}

// parseMaps reads lines such as "55ab7f279000-55ab7f27e000 r-xp 00002000 fe:00 247026   /usr/bin/cat" and keeps those with code.
func parseMaps(r io.Reader) ([]mapping, error) {
	var list []mapping
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<16)
	for s.Scan() && len(list) < maxMappings {
		fields := bytes.SplitN(s.Bytes(), []byte(" "), 6)
		if len(fields) < 6 || len(fields[1]) < 3 || fields[1][2] != 'x' {
			continue
		}
		from, to, _ := strings.Cut(string(fields[0]), "-")
		major, minor, _ := strings.Cut(string(fields[3]), ":")
		var m mapping
		var n [6]uint64
		ok := true
		for i, text := range []string{from, to, string(fields[2]), major, minor} {
			var err error
			n[i], err = strconv.ParseUint(text, 16, 64)
			ok = ok && err == nil
		}
		inode, err := strconv.ParseUint(string(fields[4]), 10, 64)
		if !ok || err != nil {
			continue
		}
		m.start, m.end, m.offset = n[0], n[1], n[2]
		m.id = fileID{dev: unix.Mkdev(uint32(n[3]), uint32(n[4])), inode: inode}
		m.path = strings.TrimSuffix(strings.TrimLeft(string(fields[5]), " "), " (deleted)")
		list = append(list, m)
	}
	return list, s.Err()
}

// file returns the symbols of a mapped file, empty ones if it cannot be read.
func (p *ProcessSymbols) file(pid int, m mapping) *fileSymbols {
	f, id, err := openMapped(pid, m)
	if err != nil {
		return &fileSymbols{}
	}
	defer f.Close()
	if t := p.files[id]; t != nil {
		i := slices.Index(p.order, id)
		p.order = append(slices.Delete(p.order, i, i+1), id)
		return t
	}
	t := readFileSymbols(f, id.size)
	if p.files == nil {
		p.files = make(map[fileID]*fileSymbols)
	}
	p.files[id] = t
	p.order = append(p.order, id)
	p.bytes += t.memory()
	for len(p.order) > 1 && (len(p.order) > maxFiles || p.bytes > maxSymbolBytes) {
		p.bytes -= p.files[p.order[0]].memory()
		delete(p.files, p.order[0])
		p.order = p.order[1:]
	}
	return t
}

// openMapped opens the file behind a mapping: the very one with CAP_SYS_ADMIN (Linux 4.3), else the one that has its path now, if
// that is the same.
func openMapped(pid int, m mapping) (*os.File, fileID, error) {
	for _, path := range []string{
		fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.start, m.end), fmt.Sprintf("/proc/%d/root%s", pid, m.path),
	} {
		f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if err = unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Ino == m.id.inode {
			return f, fileID{dev: uint64(st.Dev), inode: uint64(st.Ino), size: st.Size, mtime: int64(st.Mtim.Sec)<<30 ^ int64(st.Mtim.Nsec)}, nil
		}
		f.Close()
	}
	return nil, fileID{}, os.ErrNotExist
}

package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
)

// Object is a BPF object in the kernel: its programs, its maps and the links made with [Object.Attach]. It owns all of them.
// Nothing of it outlives the process unless it was pinned. All methods may be used from several goroutines at once.
type Object struct {
	programs []*Program    // by position in the file
	maps     []*Map        // by name, without hidden ones
	counters *lossCounters // nil if nothing is counted
	memory   uint64        // charged for the maps

	variables []VariableSpec // by name
	sections  sections

	// mu guards the fields that follow.
	mu     sync.Mutex
	links  []*Link
	closed bool
}

// Programs returns the loaded programs by position in the object file.
func (o *Object) Programs() []*Program { return slices.Clone(o.programs) }

// Maps returns the maps by name, without those that this package added for itself.
func (o *Object) Maps() []*Map { return slices.Clone(o.maps) }

// MapMemory returns how many bytes of [LoadOptions].MapMemory the maps were charged; zero if there was no limit.
func (o *Object) MapMemory() uint64 { return o.memory }

// Files returns how many descriptors of this process the object holds: one for each map, and for each program, which holds its type
// information, too, if it has any.
func (o *Object) Files() int {
	n := len(o.maps) + len(o.programs)
	for _, p := range o.programs {
		if info, err := p.prog.Info(); err == nil {
			if _, ok := info.BTFID(); ok {
				n++
			}
		}
	}
	return n
}

// Links returns the links made with [Object.Attach] that are still held, oldest first.
func (o *Object) Links() []*Link {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.links)
}

// Program returns the program of that name. The error matches [ErrNotFound] and lists the names there are.
func (o *Object) Program(name string) (*Program, error) {
	var have []string
	for _, p := range o.programs {
		if p.name == name {
			return p, nil
		}
		have = append(have, p.name)
	}
	return nil, notFound("program", name, have)
}

// Map returns the map of that name. The error matches [ErrNotFound] and lists the names there are.
func (o *Object) Map(name string) (*Map, error) {
	i, ok := slices.BinarySearchFunc(o.maps, name, func(m *Map, name string) int { return cmp.Compare(m.name, name) })
	if ok {
		return o.maps[i], nil
	}
	var have []string
	for _, m := range o.maps {
		have = append(have, m.name)
	}
	return nil, notFound("map", name, have)
}

// Attach attaches a program of this object. The zero Target means what the program's section name says. The Object owns the
// Link and closes it with itself; the caller may close it earlier. After [Object.Close] the error matches [os.ErrClosed].
func (o *Object) Attach(p *Program, t Target) (*Link, error) {
	if p == nil || p.obj != o {
		return nil, fmt.Errorf("attach: %w: the program belongs to another object", ErrNotFound)
	}
	o.mu.Lock()
	defer o.mu.Unlock() // held while attaching, so that Close cannot miss the link
	if o.closed {
		return nil, fmt.Errorf("attach %s: object: %w", p.name, os.ErrClosed)
	}
	l, err := attach(p, t)
	if err != nil {
		return nil, err
	}
	o.links = append(slices.DeleteFunc(o.links, (*Link).gone), l)
	return l, nil
}

// Close detaches the links, newest first, and then gives up programs and maps. Readers of events are closed by whoever
// opened them; one that is still open keeps its ring, not the Object, alive. Close is idempotent.
func (o *Object) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	err := CloseLinks(o.links, -1, nil)
	o.links = nil
	return errors.Join(err, o.unload())
}

// unload closes programs, then maps, newest first.
func (o *Object) unload() error {
	var errs []error
	for _, p := range slices.Backward(o.programs) {
		errs = append(errs, p.close())
	}
	errs = append(errs, o.sections.close())
	for _, m := range slices.Backward(o.maps) {
		errs = append(errs, m.close())
	}
	if o.counters != nil {
		errs = append(errs, o.counters.release())
	}
	return errors.Join(errs...)
}

// gone reports whether a link was closed by its user.
func (l *Link) gone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// newMap wraps a map that was just created. The Object owns both.
func newMap(o *Object, name string, km *ebpf.Map) (*Map, error) {
	m := &Map{
		obj: o, name: name, m: km,
		typ: km.Type(), flags: km.Flags(), maxEntries: km.MaxEntries(),
		keySize: int(km.KeySize()), valueSize: int(km.ValueSize()),
		fd: uint32(km.FD()),
	}
	if perCPU(m.typ) {
		n, err := ebpf.PossibleCPU()
		if err != nil {
			return nil, fmt.Errorf("map %s: count the possible CPUs: %w", name, err)
		}
		m.valueSize = (m.valueSize + 7) &^ 7 * n
	} else if holdsFDs(m.typ) {
		m.valueSize = 4
	}
	m.brief = brief(m.typ, m.keySize+m.valueSize)
	for op := range m.miss {
		m.miss[op] = MapError{Op: mapOp(op).String(), Map: name, Errno: enoent, Hint: m.hint(mapOp(op), 0, enoent)}
	}
	return m, nil
}

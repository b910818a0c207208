package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrReadOnly says that a variable cannot be changed once its object is loaded.
var ErrReadOnly = errors.New("read-only")

// Variable is a global variable of a loaded [Object], for as long as that is open. All methods may be used from several goroutines
// at once and while programs run: variables of 1, 2, 4 and 8 bytes are read and written in one piece, others may be caught half
// written.
type Variable struct {
	VariableSpec
	obj *Object
}

// Variable returns the global variable of that name. The error matches [ErrNotFound] and lists the names there are.
func (o *Object) Variable(name string) (*Variable, error) {
	i, ok := slices.BinarySearchFunc(o.variables, name, func(v VariableSpec, name string) int { return cmp.Compare(v.Name, name) })
	if ok {
		return &Variable{VariableSpec: o.variables[i], obj: o}, nil
	}
	var have []string
	for _, v := range o.variables {
		have = append(have, v.Name)
	}
	return nil, notFound("variable", name, have)
}

// Variables describes the global variables, sorted by name.
func (o *Object) Variables() []VariableSpec { return slices.Clone(o.variables) }

// Get copies the value into b, which must have the variable's size, else the error matches [ErrSize].
func (v *Variable) Get(b []byte) error {
	m, err := v.check("get", b)
	if err != nil {
		return err
	}
	err = v.obj.sections.do(m, v.Constant, func(mem []byte) { copyValue(b, mem[v.Offset:][:v.Size]) })
	if errors.Is(err, ErrUnsupported) {
		all := make([]byte, m.ValueSize())
		if err = m.LookupInto(make([]byte, 4), all, 0); err == nil {
			copy(b, all[v.Offset:])
		}
	}
	if err != nil {
		return fmt.Errorf("get variable %s: %w", v.Name, err)
	}
	return nil
}

// Set changes the value to b, which must have the variable's size, else the error matches [ErrSize]. Constants can only be set
// before loading, with [Spec.SetVariable]: the error matches [ErrReadOnly]. Requires at least Linux 5.5: before, the variables of a
// section could only be written all at once, over what programs change meanwhile.
func (v *Variable) Set(b []byte) error {
	m, err := v.check("set", b)
	if err != nil {
		return err
	}
	if v.Constant {
		return fmt.Errorf("set variable %s: %w: it is a constant (section %s); set it before the object is loaded", v.Name, ErrReadOnly, v.Section)
	}
	if err := v.obj.sections.do(m, false, func(mem []byte) { copyValue(mem[v.Offset:][:v.Size], b) }); err != nil {
		return fmt.Errorf("set variable %s: %w", v.Name, err)
	}
	return nil
}

// check finds the map of the variable's section.
func (v *Variable) check(what string, b []byte) (*Map, error) {
	if uint64(len(b)) != uint64(v.Size) {
		return nil, fmt.Errorf("%s variable %s: %w: %d bytes, not %d", what, v.Name, ErrSize, len(b), v.Size)
	}
	m, err := v.obj.Map(v.Section)
	if err != nil {
		return nil, fmt.Errorf("%s variable %s: %w", what, v.Name, err)
	}
	if uint64(v.Offset)+uint64(v.Size) > uint64(m.ValueSize()) {
		return nil, fmt.Errorf("%s variable %s: %w: it lies outside map %s", what, v.Name, ErrSize, m.Name())
	}
	return m, nil
}

// sections is the memory of an object's global variables, mapped when it is first used.
type sections struct {
	// mu guards the fields that follow and is held while the memory is used.
	mu     sync.Mutex
	mapped map[*Map][]byte
	closed bool
}

// do runs f on the memory of a section.
func (s *sections) do(m *Map, constant bool, f func(mem []byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("object: %w", os.ErrClosed)
	}
	mem := s.mapped[m]
	if mem == nil {
		var err error
		if mem, err = mapSection(m, constant); err != nil {
			return err
		}
		if s.mapped == nil {
			s.mapped = make(map[*Map][]byte)
		}
		s.mapped[m] = mem
	}
	f(mem)
	return nil
}

func mapSection(m *Map, constant bool) ([]byte, error) {
	if !m.use.enter() {
		return nil, fmt.Errorf("map %s: %w", m.name, os.ErrClosed)
	}
	defer m.leave()
	if m.flags&unix.BPF_F_MMAPABLE == 0 {
		return nil, &UnsupportedError{Feature: "memory of map " + m.name, Need: "Linux 5.5"}
	}
	prot := unix.PROT_READ | unix.PROT_WRITE
	if constant {
		prot = unix.PROT_READ
	}
	page := os.Getpagesize()
	mem, err := unix.Mmap(int(m.fd), 0, (m.valueSize+page-1)/page*page, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory of %s: %w", m.name, err)
	}
	return mem, nil
}

// close gives the memory back.
func (s *sections) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, mem := range s.mapped {
		errs = append(errs, unix.Munmap(mem))
	}
	s.mapped = nil
	return errors.Join(errs...)
}

// copyValue copies a value that programs use meanwhile: in one piece if it is one word, so that nobody sees half of it. One of the
// two slices is memory of a map.
func copyValue(to, from []byte) {
	switch {
	case len(from) == 8 && aligned(from, 8) && aligned(to, 8):
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&to[0])), atomic.LoadUint64((*uint64)(unsafe.Pointer(&from[0]))))
	case len(from) == 4 && aligned(from, 4) && aligned(to, 4):
		atomic.StoreUint32((*uint32)(unsafe.Pointer(&to[0])), atomic.LoadUint32((*uint32)(unsafe.Pointer(&from[0]))))
	default:
		copy(to, from)
	}
}

func aligned(b []byte, n uintptr) bool { return uintptr(unsafe.Pointer(&b[0]))%n == 0 }

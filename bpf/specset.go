package bpf

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// VariableSpec describes one global variable of a [Spec].
type VariableSpec struct {
	// Name is the variable's name in C, Section the data section (and map) that it lies in, such as ".bss".
	Name, Section string
	// Offset in the section and Size are in bytes.
	Offset, Size uint32
	// Constant says that it cannot change once the object is loaded ("const volatile" in C, section .rodata).
	Constant bool
}

// VariableSpecs describes the global variables, sorted by name.
func (s *Spec) VariableSpecs() []VariableSpec {
	var out []VariableSpec
	for _, name := range slices.Sorted(maps.Keys(s.coll.Variables)) {
		v := s.coll.Variables[name]
		out = append(out, VariableSpec{Name: name, Section: v.SectionName, Offset: v.Offset, Size: v.Size(), Constant: v.Constant()})
	}
	return out
}

// mapSpec finds a map to change.
func (s *Spec) mapSpec(name string) (*ebpf.MapSpec, error) {
	m := s.coll.Maps[name]
	if m == nil {
		return nil, notFound("map", name, slices.Sorted(maps.Keys(s.coll.Maps)))
	}
	return m, nil
}

// SetMapFlags sets the kernel's BPF_F_* flags that a map is created with, in place of those of the object. The flags of global
// variables cannot change, and flags that make the kernel read file descriptors are refused; the error matches [ErrType].
func (s *Spec) SetMapFlags(name string, flags uint32) error {
	m, err := s.mapSpec(name)
	if err != nil {
		return err
	}
	if isData(name) || m.Type == ebpf.StructOpsMap {
		return fmt.Errorf("flags of map %s: %w: %s", name, ErrType, fixedBy(name))
	}
	if err := checkMapFlags(name, flags); err != nil {
		return err
	}
	m.Flags = flags
	return nil
}

// SetKeySize sets the size of a map's keys in bytes. It refuses maps with contents in the object and sizes that contradict the type
// of the key in the object's type information: the error matches [ErrSize], or [ErrType] for global variables.
func (s *Spec) SetKeySize(name string, size uint32) error {
	m, err := s.mapSpec(name)
	if err != nil {
		return err
	}
	if err := sizeCanChange(m, name, "key", m.KeySize, size, m.Key); err != nil {
		return err
	}
	m.KeySize = size
	return nil
}

// SetValueSize sets the size of a map's values in bytes; of one CPU's value for per-CPU maps. It refuses what [Spec.SetKeySize]
// refuses.
func (s *Spec) SetValueSize(name string, size uint32) error {
	m, err := s.mapSpec(name)
	if err != nil {
		return err
	}
	if err := sizeCanChange(m, name, "value", m.ValueSize, size, m.Value); err != nil {
		return err
	}
	m.ValueSize = size
	return nil
}

func sizeCanChange(m *ebpf.MapSpec, name, what string, old, size uint32, t btf.Type) error {
	if size == old {
		return nil
	}
	switch {
	case isData(name) || m.Type == ebpf.StructOpsMap:
		return fmt.Errorf("size of the %s of map %s: %w: %s", what, name, ErrType, fixedBy(name))
	case len(m.Contents) > 0:
		return fmt.Errorf("size of the %s of map %s: %w: the object has contents for it, of %d bytes", what, name, ErrSize, old)
	case t != nil:
		if n, err := btf.Sizeof(t); err == nil && uint64(n) != uint64(size) {
			return fmt.Errorf("size of the %s of map %s: %w: %d bytes, but the object says it is a %s of %d", what, name, ErrSize, size, t.TypeName(), n)
		}
	}
	return nil
}

func fixedBy(name string) string {
	if isData(name) {
		return "it holds global variables"
	}
	return "the kernel's types decide"
}

// maxAttachTo is longer than any path with a symbol.
const maxAttachTo = maxTargetText

// SetAttachTo sets to what a program attaches, in place of what its section name says: a function (fentry, fexit, fmod_ret, lsm
// hooks, freplace), a tracepoint (tp_btf, tracepoint), a kind of iterator and so on. For hooks that are named by a type of the kernel
// this is the only way to change it. The error matches [ErrType] for programs of a struct_ops, whose map decides.
func (s *Spec) SetAttachTo(program, symbol string) error {
	p, err := s.programSpec(program)
	if err != nil {
		return err
	}
	switch {
	case p.Type == ebpf.StructOps:
		return fmt.Errorf("attach program %s to %q: %w: the map of its struct_ops decides", program, short(symbol), ErrType)
	case symbol == "":
		return badTarget("attach program %s: no name given", program)
	case len(symbol) > maxAttachTo || strings.ContainsFunc(symbol, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return badTarget("attach program %s to %q: the name is too long or has control characters", program, short(symbol))
	}
	p.AttachTo = symbol
	return nil
}

// SetTargetProgram makes a program replace (freplace) or trace (fentry, fexit, fmod_ret) a function of another BPF program, the one
// that its section name or [Spec.SetAttachTo] names. The target must stay open until [Spec.Load] is done; nil takes it back. The
// error matches [ErrType] for other programs. Requires at least Linux 5.6 for freplace, 5.5 else, and trampolines.
func (s *Spec) SetTargetProgram(program string, target *Program) error {
	p, err := s.programSpec(program)
	if err != nil {
		return err
	}
	hook, _ := hookOf(p)
	switch hook {
	case HookFreplace, HookFentry, HookFexit, HookFmodRet, HookFsession:
	default:
		return fmt.Errorf("target of program %s: %w: a program for %q attaches to no other program", program, ErrType, hook)
	}
	if target != nil && target.FD() < 0 {
		return fmt.Errorf("target of program %s: program %s: %w", program, target.name, os.ErrClosed)
	}
	if s.targets == nil {
		s.targets = make(map[string]*Program)
	}
	s.targets[program] = target
	return nil
}

func (s *Spec) programSpec(name string) (*ebpf.ProgramSpec, error) {
	p := s.coll.Programs[name]
	if p == nil {
		return nil, notFound("program", name, s.order)
	}
	return p, nil
}

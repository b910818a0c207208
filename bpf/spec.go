package bpf

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Spec is a BPF object that was read but not loaded. It needs no privilege. Change it before [Spec.Load]; it can be loaded
// several times. It is not for concurrent use.
type Spec struct {
	coll     *ebpf.CollectionSpec
	order    []string // program names by position in the file
	skip     map[string]bool
	position map[string]position
	targets  map[string]*Program // see SetTargetProgram
	types    uint64              // bytes of .BTF and .BTF.ext
}

// ProgramSpec describes one program of a [Spec].
type ProgramSpec struct {
	// Name is the name of the C function, Section the ELF section it lies in.
	Name, Section string
	// Type is the kernel's program type, UnspecifiedProgram if the section name is unknown.
	Type ebpf.ProgramType
	// Hook is the kind of place the section asks for, AttachTo what it names there. Both may be empty.
	Hook     Hook
	AttachTo string
	// License is the object's licence, which decides about GPL-only helpers.
	License string
	// Helpers are the kernel's helper functions that it calls, Kfuncs the kernel functions, Maps the maps it uses; sorted.
	Helpers, Kfuncs, Maps []string
	// Insns is the number of instructions, functions that it calls included; as the kernel counts them.
	Insns int
	// NeedsBTF says that loading needs the kernel's type information: CO-RE relocations, kfuncs or a place named by type.
	NeedsBTF bool
	// Optional programs (section name with a leading "?") are not loaded unless [Spec.SetLoad] says so.
	Optional bool
}

// MapSpec describes one map of a [Spec].
type MapSpec struct {
	// Name is the map's name; global variables lie in maps with the name of their section, such as ".rodata".
	Name string
	// Type is the kernel's map type.
	Type ebpf.MapType
	// KeySize and ValueSize are in bytes. MaxEntries is a ring buffer's size in bytes.
	KeySize, ValueSize, MaxEntries uint32
	// Flags are the kernel's BPF_F_* map flags.
	Flags uint32
	// Internal says that the map holds global variables.
	Internal bool
}

// Open reads a BPF object as clang writes it (ELF). It loads nothing and needs no privilege. It reads at most 64 MiB and does
// not keep elf. Errors match [ErrFormat], except those of elf itself; hostile input gives such an error, too. So do programs that would
// use a number of the file as a file descriptor of this process: nothing in an object does.
func Open(elf io.ReaderAt) (s *Spec, err error) {
	b, err := readObject(elf)
	if err != nil {
		return nil, err
	}
	defer func() { // the last net under the parsers of ELF and BTF
		if r := recover(); r != nil {
			s, err = nil, &FormatError{Reason: fmt.Sprintf("damaged in a way that the parser does not expect (%v)", r)}
		}
	}()
	if err := checkIdent(b); err != nil {
		return nil, err
	}
	where, types, err := checkELF(b)
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(b))
	if err != nil {
		return nil, &FormatError{Reason: err.Error(), Cause: err}
	}
	s = &Spec{coll: coll, position: where, types: types, skip: make(map[string]bool)}
	s.order = slices.SortedFunc(maps.Keys(coll.Programs), func(a, b string) int {
		pa, pb := where[a], where[b]
		return cmp.Or(cmp.Compare(pa.section, pb.section), cmp.Compare(pa.offset, pb.offset), cmp.Compare(a, b))
	})
	for name, p := range coll.Programs {
		s.skip[name] = strings.HasPrefix(p.SectionName, "?")
	}
	if err := s.checkDescriptors(); err != nil {
		return nil, err
	}
	return s, nil
}

// Programs describes the programs by position in the file.
func (s *Spec) Programs() []ProgramSpec {
	out := make([]ProgramSpec, 0, len(s.order))
	for _, name := range s.order {
		out = append(out, s.describe(s.coll.Programs[name]))
	}
	return out
}

// Memory is about how many bytes of this process's memory the object takes: it may be far more than the file, because every program
// has its own copy of the functions that it calls.
func (s *Spec) Memory() uint64 {
	const perInsn, perProgram = uint64(unsafe.Sizeof(asm.Instruction{})), 1 << 10
	const perType = 8 // bytes for each byte of type information, if all of it is used
	sum := perType * s.types
	for _, p := range s.coll.Programs {
		sum += perProgram + perInsn*uint64(len(p.Instructions))
	}
	for name, m := range s.coll.Maps {
		if isData(name) { // need not be in the file
			sum += uint64(m.ValueSize)
		}
	}
	return sum
}

// Maps describes the maps by name.
func (s *Spec) Maps() []MapSpec {
	var out []MapSpec
	for _, name := range slices.Sorted(maps.Keys(s.coll.Maps)) {
		m := s.coll.Maps[name]
		out = append(out, MapSpec{
			Name: name, Type: m.Type, KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries, Flags: m.Flags,
			Internal: isData(name),
		})
	}
	return out
}

// Variables returns the names of the global variables that [Spec.SetVariable] can set, sorted.
func (s *Spec) Variables() []string { return slices.Sorted(maps.Keys(s.coll.Variables)) }

// SetVariable sets the first value of a global variable. value must have the variable's size ([ErrSize]) and its byte order.
// Constants (const volatile in C) can be set here and nowhere else. An unknown name matches [ErrNotFound].
func (s *Spec) SetVariable(name string, value []byte) error {
	v := s.coll.Variables[name]
	if v == nil {
		return notFound("variable", name, s.Variables())
	}
	if int(v.Size()) != len(value) {
		return fmt.Errorf("variable %s: %w: %d bytes, not %d", name, ErrSize, len(value), v.Size())
	}
	v.Value = bytes.Clone(value)
	return nil
}

// Variable returns the value that a global variable will have when the object is loaded. An unknown name matches [ErrNotFound].
func (s *Spec) Variable(name string) ([]byte, error) {
	v := s.coll.Variables[name]
	if v == nil {
		return nil, notFound("variable", name, s.Variables())
	}
	return bytes.Clone(v.Value), nil
}

// SetMaxEntries sets the capacity of a map; of a ring buffer, its size in bytes, a power of two of at least one page. That of global
// variables is one; the error for another matches [ErrType].
func (s *Spec) SetMaxEntries(name string, n uint32) error {
	m, err := s.mapSpec(name)
	if err != nil {
		return err
	}
	if isData(name) && n != m.MaxEntries {
		return fmt.Errorf("capacity of map %s: %w: %s", name, ErrType, fixedBy(name))
	}
	m.MaxEntries = n
	return nil
}

// SetLoad says whether [Spec.Load] loads a program. All but optional ones are loaded by default.
func (s *Spec) SetLoad(name string, load bool) error {
	if s.coll.Programs[name] == nil {
		return notFound("program", name, s.order)
	}
	s.skip[name] = !load
	return nil
}

// Loads reports whether [Spec.Load] loads a program; see [Spec.SetLoad].
func (s *Spec) Loads(name string) bool { return s.coll.Programs[name] != nil && !s.skip[name] }

// NeedsBTF reports whether loading needs the kernel's type information (CONFIG_DEBUG_INFO_BTF).
func (s *Spec) NeedsBTF() bool {
	for _, name := range s.order {
		if p := s.coll.Programs[name]; !s.skip[name] && (usesCORE(p) || namesKernelType(p)) {
			return true
		}
	}
	return false
}

func (s *Spec) describe(p *ebpf.ProgramSpec) ProgramSpec {
	hook, to := hookOf(p)
	out := ProgramSpec{
		Name: p.Name, Section: p.SectionName, Type: p.Type, Hook: hook, AttachTo: to, License: p.License,
		Insns:    int(p.Instructions.Size() / asm.InstructionSize),
		NeedsBTF: usesCORE(p) || namesKernelType(p),
		Optional: strings.HasPrefix(p.SectionName, "?"),
	}
	helpers, kfuncs, used := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range p.Instructions {
		switch ins := &p.Instructions[i]; {
		case ins.IsBuiltinCall():
			helpers[helperName(asm.BuiltinFunc(ins.Constant))] = true
		case ins.IsKfuncCall():
			kfuncs[ins.Reference()] = true
		case ins.IsLoadFromMap() && ins.Reference() != "":
			used[ins.Reference()] = true
		}
	}
	out.Helpers, out.Kfuncs, out.Maps = sorted(helpers), sorted(kfuncs), sorted(used)
	return out
}

func sorted(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

// usesCORE reports whether loading has to look into the kernel's types for fields or functions.
func usesCORE(p *ebpf.ProgramSpec) bool {
	for i := range p.Instructions {
		if ins := &p.Instructions[i]; btf.CORERelocationMetadata(ins) != nil || ins.IsKfuncCall() {
			return true
		}
	}
	return false
}

// namesKernelType reports whether the place to attach to is found by the kernel's types.
func namesKernelType(p *ebpf.ProgramSpec) bool {
	switch p.Type {
	case ebpf.Tracing, ebpf.LSM, ebpf.StructOps:
		return true
	}
	return false
}

// helperName is the name of a helper function as C has it: bpf_map_lookup_elem.
func helperName(f asm.BuiltinFunc) string {
	s := strings.TrimPrefix(f.String(), "Fn")
	if strings.HasPrefix(s, "BuiltinFunc(") {
		return fmt.Sprintf("#%d", uint32(f))
	}
	var b strings.Builder
	b.WriteString("bpf")
	for _, c := range s {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

package bpf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// TypeKind says what a type of the kernel is: "struct", "union", "enum", "int", "typedef", "func" and so on.
type TypeKind string

// TypeInfo is a type of the running kernel, from its BTF.
type TypeInfo struct {
	// ID is the number of the type in the kernel's BTF.
	ID uint32
	// Name is the type's name, Kind what it is, Plain what it is behind typedefs and qualifiers. For a typedef, Size is that of what it
	// stands for.
	Name        string
	Kind, Plain TypeKind
	// Size is in bytes; zero for functions and for what is only declared.
	Size uint32
}

// FieldInfo is a field of a type of the running kernel.
type FieldInfo struct {
	// ID is the number of the field's type in the kernel's BTF, zero if it cannot be told.
	ID uint32
	// BitOffset is from the start of the type, BitSize the field's size in bits: of a bit field its own.
	BitOffset, BitSize uint64
	// Size is the size of the field's type in bytes, Kind what it is, Type its name, which is empty for pointers, arrays and types
	// without a name.
	Size uint32
	Kind TypeKind
	Type string
	// Bitfield says that the field is smaller than its type, so that it must be shifted out of it.
	Bitfield bool
}

// KernelType finds a type of the running kernel: "task_struct", or "struct task_struct", "union bpf_attr", "enum pid_type",
// "typedef u64", "func vfs_read" where several kinds have the name. The error matches [ErrNotFound], or [ErrUnsupported] on kernels
// without type information. The kernel's types, some megabytes, are read when they are first asked for and
// given back some seconds after the last question.
func KernelType(name string) (TypeInfo, error) {
	types, t, err := kernelType(name)
	if err != nil {
		return TypeInfo{}, fmt.Errorf("kernel type %.80q: %w", name, err)
	}
	id, err := types.TypeID(t)
	if err != nil {
		return TypeInfo{}, fmt.Errorf("kernel type %.80q: %w", name, err)
	}
	size, _ := btf.Sizeof(t)
	return TypeInfo{ID: uint32(id), Name: t.TypeName(), Kind: kindOfType(t), Plain: kindOfType(plain(t)), Size: uint32(max(size, 0))}, nil
}

// KernelField finds a field of a type of the running kernel by its path: "pid", "se.vruntime", "comm[3]", "cgroups.rcu_head.next".
// Members of unions and structs without a name are found as in C; a pointer ends a path. The error matches [ErrNotFound], or
// [ErrUnsupported] on kernels without type information.
func KernelField(typ, path string) (FieldInfo, error) {
	fail := func(err error) (FieldInfo, error) {
		return FieldInfo{}, fmt.Errorf("field %.80q of kernel type %.80q: %w", path, typ, err)
	}
	types, t, err := kernelType(typ)
	if err != nil {
		return fail(err)
	}
	steps, err := parseFieldPath(path)
	if err != nil {
		return fail(err)
	}
	f := field{typ: t}
	for _, s := range steps {
		if f, err = f.step(s); err != nil {
			return fail(err)
		}
	}
	size, err := btf.Sizeof(f.typ)
	if err != nil {
		return fail(fmt.Errorf("%w: its size is not known", ErrNotFound))
	}
	info := FieldInfo{BitOffset: f.bits, BitSize: f.width, Size: uint32(size), Kind: kindOfType(plain(f.typ)), Type: f.typ.TypeName()}
	if id, err := types.TypeID(f.typ); err == nil {
		info.ID = uint32(id)
	}
	if info.Bitfield = f.width != 0; !info.Bitfield {
		info.BitSize = uint64(size) * 8
	}
	return info, nil
}

// kernelType finds a type by its name, with its kind before it or not.
func kernelType(name string) (*btf.Spec, btf.Type, error) {
	types, err := typesForQuestions().Kernel()
	if err != nil {
		return nil, nil, &UnsupportedError{Feature: "kernel types (BTF)", Need: "a kernel with CONFIG_DEBUG_INFO_BTF", Cause: err}
	}
	kind, bare, has := strings.Cut(name, " ")
	if !has {
		kind, bare = "", name
	}
	all, err := types.AnyTypesByName(bare)
	if err != nil {
		if errors.Is(err, btf.ErrNotFound) || bare == "" {
			err = fmt.Errorf("%w; there is none of that name", ErrNotFound)
		}
		return nil, nil, err
	}
	for _, t := range all {
		if kind == "" || string(kindOfType(t)) == kind {
			return types, t, nil
		}
	}
	return nil, nil, fmt.Errorf("%w; there is only a %s of that name", ErrNotFound, kindOfType(all[0]))
}

func kindOfType(t btf.Type) TypeKind {
	switch t.(type) {
	case *btf.Struct:
		return "struct"
	case *btf.Union:
		return "union"
	case *btf.Enum:
		return "enum"
	case *btf.Int:
		return "int"
	case *btf.Float:
		return "float"
	case *btf.Pointer:
		return "pointer"
	case *btf.Array:
		return "array"
	case *btf.Typedef:
		return "typedef"
	case *btf.Func:
		return "func"
	case *btf.FuncProto:
		return "func_proto"
	case *btf.Fwd:
		return "fwd"
	case *btf.Var:
		return "var"
	case *btf.Datasec:
		return "datasec"
	}
	return "other"
}

// plain is a type without typedefs and qualifiers.
func plain(t btf.Type) btf.Type { return btf.UnderlyingType(t) }

// fieldStep is one step of a path: a member, or an index in an array.
type fieldStep struct {
	name    string
	index   uint64
	isIndex bool
}

// Bounds on a path.
const (
	maxFieldPath  = 512
	maxFieldDepth = 64
)

// parseFieldPath reads "a.b[3].c".
func parseFieldPath(path string) ([]fieldStep, error) {
	bad := fmt.Errorf("%w: not a path of fields; want for example se.vruntime or comm[3]", ErrTarget)
	if path == "" || len(path) > maxFieldPath {
		return nil, bad
	}
	var steps []fieldStep
	for part := range strings.SplitSeq(path, ".") {
		name, _, _ := strings.Cut(part, "[")
		if name == "" {
			return nil, bad
		}
		steps = append(steps, fieldStep{name: name})
		for rest := part[len(name):]; rest != ""; {
			number, after, ok := strings.Cut(rest, "]")
			n, err := strconv.ParseUint(strings.TrimPrefix(number, "["), 0, 32)
			if !ok || err != nil || number[0] != '[' {
				return nil, bad
			}
			steps = append(steps, fieldStep{index: n, isIndex: true})
			rest = after
		}
	}
	if len(steps) > maxFieldDepth {
		return nil, bad
	}
	return steps, nil
}

// field is a place in a type.
type field struct {
	typ   btf.Type
	bits  uint64
	width uint64 // of a bit field
}

func (f field) step(s fieldStep) (field, error) {
	t := plain(f.typ)
	if s.isIndex {
		a, ok := t.(*btf.Array)
		if !ok {
			return f, fmt.Errorf("%w: [%d] of what is no array but a %s", ErrNotFound, s.index, kindOfType(t))
		}
		size, err := btf.Sizeof(a.Type)
		if err != nil || s.index >= max(uint64(a.Nelems), 1) {
			return f, fmt.Errorf("%w: [%d] of an array of %d", ErrNotFound, s.index, a.Nelems)
		}
		return field{typ: a.Type, bits: f.bits + s.index*uint64(size)*8}, nil
	}
	found, ok := member(t, s.name, 0)
	if !ok {
		if k := kindOfType(t); k != "struct" && k != "union" {
			return f, fmt.Errorf("%w: .%s of a %s", ErrNotFound, s.name, k)
		}
		return f, fmt.Errorf("%w: no member %q", ErrNotFound, s.name)
	}
	found.bits += f.bits
	return found, nil
}

// member finds a member of a struct or union, also in those in it that have no name.
func member(t btf.Type, name string, depth int) (field, bool) {
	var members []btf.Member
	switch t := t.(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return field{typ: m.Type, bits: uint64(m.Offset), width: uint64(m.BitfieldSize)}, true
		}
	}
	if depth > maxFieldDepth {
		return field{}, false
	}
	for _, m := range members {
		if m.Name != "" {
			continue
		}
		if f, ok := member(plain(m.Type), name, depth+1); ok {
			f.bits += uint64(m.Offset)
			return f, true
		}
	}
	return field{}, false
}

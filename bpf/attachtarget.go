package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// attachTarget is the type that a program names as its place when it is loaded.
type attachTarget struct {
	id uint32
	// object is the descriptor of a program or of the types of a module; zero means the kernel itself.
	object  uint32
	release func()
}

// findAttachTarget looks up what a program attaches to, for types that say it when they are loaded.
func findAttachTarget(spec *ebpf.ProgramSpec, program *Program) (attachTarget, error) {
	none := attachTarget{release: func() {}}
	if program != nil {
		return findInProgram(spec, program)
	}
	name, isFunc := kernelTypeOf(spec)
	if name == "" {
		return none, nil
	}
	if spec.AttachTo == "" {
		return none, badTarget("%s: no place to attach to given; for example section %q", spec.Type, "tp_btf/sched_process_exec")
	}
	types, err := kernelTypes().Kernel()
	if err != nil {
		return none, fmt.Errorf("read the kernel's types: %w (%w)", btf.ErrNotFound, err)
	}
	id, err := typeID(types, name, isFunc)
	if err == nil {
		none.id = uint32(id)
		return none, nil
	}
	if !errors.Is(err, btf.ErrNotFound) {
		return none, fmt.Errorf("find %s: %w", name, err)
	}
	return findInModules(name, isFunc)
}

// kernelTypeOf is the name of the kernel's type for a place, as the kernel makes it up; empty for programs that name no type.
func kernelTypeOf(spec *ebpf.ProgramSpec) (name string, isFunc bool) {
	switch {
	case spec.Type == ebpf.LSM:
		return "bpf_lsm_" + spec.AttachTo, true
	case spec.Type != ebpf.Tracing:
		return "", false
	case spec.AttachType == ebpf.AttachTraceRawTp:
		return "btf_trace_" + spec.AttachTo, false
	case spec.AttachType == ebpf.AttachTraceIter:
		return "bpf_iter_" + spec.AttachTo, true
	}
	return spec.AttachTo, true
}

// typeID finds a function or a typedef.
func typeID(types *btf.Spec, name string, isFunc bool) (btf.TypeID, error) {
	if isFunc {
		var f *btf.Func
		if err := types.TypeByName(name, &f); err != nil {
			return 0, err
		}
		return types.TypeID(f)
	}
	var t *btf.Typedef
	if err := types.TypeByName(name, &t); err != nil {
		return 0, err
	}
	return types.TypeID(t)
}

// findInModules looks through the types of the modules. It needs CAP_SYS_ADMIN.
func findInModules(name string, isFunc bool) (attachTarget, error) {
	missing := fmt.Errorf("find %s: %w", name, btf.ErrNotFound)
	it := new(btf.HandleIterator)
	defer func() { it.Handle.Close() }()
	for it.Next() {
		info, err := it.Handle.Info()
		if err != nil || !info.IsModule() {
			continue
		}
		types, err := kernelTypes().Module(info.Name)
		if err != nil {
			continue
		}
		id, err := typeID(types, name, isFunc)
		if errors.Is(err, btf.ErrNotFound) {
			continue
		}
		if err != nil {
			return attachTarget{}, fmt.Errorf("find %s in module %s: %w", name, info.Name, err)
		}
		h := it.Take()
		return attachTarget{id: uint32(id), object: uint32(h.FD()), release: func() { h.Close() }}, nil
	}
	if err := it.Err(); err != nil && !errors.Is(err, unix.EPERM) {
		return attachTarget{}, errors.Join(missing, err)
	}
	return attachTarget{}, missing
}

// findInProgram looks up a function of another program.
func findInProgram(spec *ebpf.ProgramSpec, p *Program) (attachTarget, error) {
	hook, _ := hookOf(spec)
	switch hook {
	case HookFreplace, HookFentry, HookFexit, HookFmodRet, HookFsession:
	default:
		return attachTarget{}, fmt.Errorf("target program %s: %w: a program for %q attaches to no other program", p.name, ErrType, hook)
	}
	if !p.enter() {
		return attachTarget{}, fmt.Errorf("target program %s: %w", p.name, os.ErrClosed)
	}
	fail := func(err error) (attachTarget, error) {
		p.leave()
		if errors.Is(err, btf.ErrNotFound) {
			return attachTarget{}, noSuch("program %s has no function %s", p.name, short(spec.AttachTo))
		}
		return attachTarget{}, badTarget("function %s of program %s: %w", short(spec.AttachTo), p.name, err)
	}
	h, err := p.prog.Handle()
	if err != nil {
		return fail(err)
	}
	defer h.Close()
	types, err := h.Spec(nil)
	if err != nil {
		return fail(err)
	}
	id, err := typeID(types, spec.AttachTo, true)
	if err != nil {
		return fail(err)
	}
	return attachTarget{id: uint32(id), object: uint32(p.fd), release: p.leave}, nil
}

package bpf

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// ProgramOptions describe a program that was made at run time, for [LoadProgram].
type ProgramOptions struct {
	// Name is for messages and for what the kernel shows. The kernel keeps 15 bytes of it.
	Name string
	// Section is a section name as in an object file, such as "xdp" or "tracepoint/sched/sched_switch": it gives the type, the attach
	// type, the flags and the place to attach to. Empty means that Type and AttachType say it.
	Section string
	// License decides about GPL-only helpers: "GPL", "Dual MIT/GPL", ...
	License string
	// Type and AttachType are used when Section is empty.
	Type       ebpf.ProgramType
	AttachType ebpf.AttachType
	// Insns are the instructions, struct bpf_insn in native byte order. They are not kept.
	Insns []byte
	// Map gives the map for a number in an instruction that loads the address of a map or of its value (BPF_PSEUDO_MAP_FD,
	// BPF_PSEUDO_MAP_VALUE). The numbers are the caller's own, never file descriptors. Nil means that there are no maps.
	Map func(handle int32) (*Map, error)
	// AttachTo is the place to attach to, in place of what the section says: see [Spec.SetAttachTo].
	AttachTo string
	// Target is the program whose function AttachTo this one replaces or traces: see [Spec.SetTargetProgram].
	Target *Program
	// VerifierLog asks the kernel for its log also when it accepts the program; see [Program.VerifierLog].
	VerifierLog bool
}

// LoadProgram loads a program from instructions. It needs the same kernel and privileges as [Spec.Load]. The caller owns the Program,
// which belongs to no Object. Records that it cannot send to a ring buffer are not counted: its instructions are loaded as they are.
//
// No number in the instructions becomes a file descriptor of this process: maps are given by [ProgramOptions].Map, and what else
// could hold a descriptor (kernel functions and types of modules, indexes into an array of descriptors) is refused. All else is the
// verifier's to judge.
//
// Errors name the program and match [ErrFormat] for bytes that cannot be instructions, [ErrVerifier], [ErrPermission] or
// [ErrUnsupported]; others unwrap to a [unix.Errno].
func LoadProgram(o ProgramOptions) (*Program, error) {
	raiseMemlock()
	spec, err := o.spec()
	if err != nil {
		return nil, err
	}
	used := heldMaps{byHandle: make(map[int32]*Map)}
	defer used.release()
	insns, err := resolveInsns(o.Insns, used.resolver(o.Map))
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", spec.Name, err)
	}
	p := &Program{name: spec.Name, section: spec.SectionName, spec: spec}
	p.hook, p.attachTo = hookOf(spec)
	attachType := spec.AttachType
	if used.probesByMulti(p.hook) {
		p.multi, attachType = true, ebpf.AttachTraceUprobeMulti
	}
	if p.prog, err = loadInsns(spec, attachType, insns, o); err != nil {
		return nil, outOfFiles(programError(spec, err, LoadOptions{}))
	}
	p.fd = p.prog.FD()
	return p, nil
}

// spec is what an object file would say of the program, without instructions.
func (o *ProgramOptions) spec() (*ebpf.ProgramSpec, error) {
	spec := &ebpf.ProgramSpec{Name: short(o.Name), Type: o.Type, AttachType: o.AttachType, License: o.License}
	if spec.Name == "" {
		spec.Name = "generated"
	}
	if o.Section != "" {
		t, to, ok := typeOfSection(o.Section)
		if !ok {
			return nil, unknownSection(spec.Name, o.Section)
		}
		spec.SectionName, spec.Type, spec.AttachType, spec.Flags, spec.AttachTo = o.Section, t.typ, t.attach, t.flags, to
	}
	if o.AttachTo != "" {
		spec.AttachTo = o.AttachTo
	}
	switch {
	case spec.Type == ebpf.UnspecifiedProgram:
		return nil, fmt.Errorf("load program %s: %w: neither a section nor a type is given", spec.Name, ErrType)
	case spec.Type == ebpf.StructOps:
		return nil, &UnsupportedError{
			Feature: fmt.Sprintf("program %s: struct_ops from instructions", spec.Name), Reason: "their map and their types come from an object file",
			Need: "an object file",
		}
	case strings.ContainsRune(o.License, 0) || len(o.License) > maxLicense:
		return nil, fmt.Errorf("load program %s: %w: the licence is longer than %d bytes or has a zero in it", spec.Name, ErrFormat, maxLicense)
	case len(o.Section) > maxAttachTo || len(spec.AttachTo) > maxAttachTo || strings.ContainsFunc(spec.AttachTo, func(r rune) bool { return r < ' ' }):
		return nil, badTarget("load program %s: attach to %q: too long or with control characters", spec.Name, short(spec.AttachTo))
	}
	return spec, checkNotMarker(spec.Type, o.Name)
}

// maxLicense is what the kernel reads of a licence.
const maxLicense = 127

// heldMaps are the maps that a program refers to, kept open until it is loaded.
type heldMaps struct {
	byHandle map[int32]*Map
	held     []*Map
}

func (h *heldMaps) release() {
	for _, m := range h.held {
		m.leave()
	}
}

// resolver gives the descriptor of the map that a number means.
func (h *heldMaps) resolver(find func(int32) (*Map, error)) func(int32) (uint32, error) {
	return func(handle int32) (uint32, error) {
		if m := h.byHandle[handle]; m != nil {
			return m.fd, nil
		}
		if find == nil {
			return 0, fmt.Errorf("map %d: %w: the program is loaded without maps", handle, ErrNotFound)
		}
		m, err := find(handle)
		if err != nil {
			return 0, fmt.Errorf("map %d: %w", handle, err)
		}
		if m == nil {
			return 0, fmt.Errorf("map %d: %w", handle, ErrNotFound)
		}
		if !m.use.enter() {
			return 0, fmt.Errorf("map %d: %w", handle, m.closedError(opLookup))
		}
		h.held = append(h.held, m)
		h.byHandle[handle] = m
		return m.fd, nil
	}
}

// probesByMulti decides as a load of an object does: see wantMulti.
func (h *heldMaps) probesByMulti(hook Hook) bool {
	switch hook {
	case HookUprobe, HookUretprobe, HookUSDT:
	default:
		return false
	}
	coll := &ebpf.CollectionSpec{Maps: make(map[string]*ebpf.MapSpec)}
	for _, m := range h.held {
		coll.Maps[m.name] = &ebpf.MapSpec{Type: m.typ}
	}
	return wantMulti(coll)
}

// programLoadAttr is the part of union bpf_attr that BPF_PROG_LOAD uses here.
type programLoadAttr struct {
	typ, count        uint32
	insns, license    userPointer
	logLevel, logSize uint32
	log               userPointer
	version, flags    uint32
	name              [16]byte
	_, attachType     uint32
	_, _              uint32
	_                 uint64
	_, _              uint32
	_                 uint64
	_, attachBTF      uint32
	attachObject, _   uint32
}

// Sizes of the verifier's log: the first that is tried, and the largest.
const (
	firstLog = 64 << 10
	mostLog  = 16 << 20
)

// loadInsns asks the kernel, a second time with a log if it refuses.
func loadInsns(spec *ebpf.ProgramSpec, attachType ebpf.AttachType, insns []byte, o ProgramOptions) (*ebpf.Program, error) {
	license := append([]byte(o.License), 0)
	attr := &programLoadAttr{
		typ: uint32(spec.Type), count: uint32(len(insns) / insnSize), flags: spec.Flags, attachType: uint32(attachType),
		insns: userPointer{ptr: unsafe.Pointer(&insns[0])}, license: userPointer{ptr: unsafe.Pointer(&license[0])},
	}
	if spec.Type == ebpf.Kprobe {
		attr.version = kernel.VersionCode()
	}
	if !tooOld(kernel.Version{Major: 4, Minor: 15}) {
		copy(attr.name[:15], kernelName(spec.Name))
	}
	target, err := findAttachTarget(spec, o.Target)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", spec.Name, err)
	}
	defer target.release()
	attr.attachBTF, attr.attachObject = target.id, target.object

	fd, log, err := loadWithLog(attr, o.VerifierLog)
	if err != nil {
		if len(log) > 0 {
			err = &ebpf.VerifierError{Cause: err, Log: strings.Split(strings.Trim(log, "\n\t "), "\n")}
		}
		return nil, fmt.Errorf("program %s: %w", spec.Name, err)
	}
	prog, err := ebpf.NewProgramFromFD(fd)
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", spec.Name, err)
	}
	prog.VerifierLog = log
	return prog, nil
}

func loadWithLog(attr *programLoadAttr, always bool) (fd int, log string, err error) {
	const tries = 30 // a signal makes the verifier give up with EAGAIN
	var buf []byte
	again := 0
	for {
		if always || err != nil {
			attr.logLevel = 1
			if always {
				attr.logLevel |= 4 // statistics
			}
			size := firstLog
			if errors.Is(err, unix.ENOSPC) {
				size = min(4*len(buf), mostLog)
			}
			if len(buf) != size {
				buf = make([]byte, size)
			}
			attr.log, attr.logSize = userPointer{ptr: unsafe.Pointer(&buf[0])}, uint32(size)
		}
		had := len(buf)
		fd, err = bpfCall(unix.BPF_PROG_LOAD, unsafe.Pointer(attr), unsafe.Sizeof(*attr))
		switch {
		case err == nil:
			return fd, cText(buf), nil
		case errors.Is(err, unix.EAGAIN) && again < tries:
			again++
			if had == 0 {
				err = nil
			}
		case had == 0:
		case errors.Is(err, unix.ENOSPC) && had < mostLog:
		case errors.Is(err, unix.ENOSPC) && always: // a log that is too long must not fail a good program
			always, err, buf = false, nil, nil
			attr.logLevel, attr.logSize, attr.log = 0, 0, userPointer{}
		default:
			return -1, cText(buf), err
		}
	}
}

// kernelName is a name in the letters that the kernel takes.
func kernelName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

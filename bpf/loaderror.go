package bpf

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// programError turns a failed load into an error that says what is missing: a privilege, something of the kernel, or the
// verifier's consent.
func programError(p *ebpf.ProgramSpec, err error, opts LoadOptions) error {
	if err == nil {
		return nil
	}
	hook, to := hookOf(p)
	var rejected *ebpf.VerifierError
	errors.As(err, &rejected)
	var log []string
	if rejected != nil {
		log = rejected.Log
	}
	switch {
	case errors.Is(err, unix.EPERM):
		return permissionError(p, hook, err, log)
	case opts.KernelBTF == nil && (usesCORE(p) || namesKernelType(p)) && !haveKernelBTF():
		need := "a kernel with CONFIG_DEBUG_INFO_BTF (this one has no /sys/kernel/btf/vmlinux)"
		if !namesKernelType(p) {
			need += " or a BTF file of this kernel given to the loader"
		}
		return &UnsupportedError{Feature: fmt.Sprintf("program %s: CO-RE", p.Name), Reason: "this kernel has no type information (BTF)", Need: need, Cause: err}
	case rejected == nil && to != "" && (errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, btf.ErrNotFound)) && namesKernelType(p):
		return &UnsupportedError{
			Feature: fmt.Sprintf("program %s: %s %s", p.Name, hook, to), Reason: "this kernel has no such place",
			Need: "another place to attach to (section " + strconv.Quote(p.SectionName) + ")", Cause: err,
		}
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.E2BIG):
		if e := unknownType(p, hook, err, log, kernel.Running()); e != nil {
			return e
		}
	}
	if v := (kernel.Version{Major: 5, Minor: 13}); tooOld(v) && slices.ContainsFunc(p.Instructions, isFunctionAddress) {
		return &UnsupportedError{Feature: fmt.Sprintf("program %s: callback functions", p.Name), Need: "Linux " + v.Short(), Cause: err}
	}
	if helper := unknownHelper(log); helper != "" {
		return &UnsupportedError{Feature: fmt.Sprintf("program %s: helper %s", p.Name, helper), Cause: &VerifierError{Program: p.Name, Cause: causeOf(err), Log: log}}
	}
	if len(log) > 0 {
		return withoutPerfmon(p, &VerifierError{Program: p.Name, Cause: causeOf(err), Log: log})
	}
	if errors.Is(err, ebpf.ErrNotSupported) {
		return &UnsupportedError{Feature: "program " + p.Name, Reason: "not supported by this kernel: " + err.Error(), Cause: err}
	}
	return fmt.Errorf("load %w", err) // the library has put "program NAME" before it
}

// isFunctionAddress recognizes what a program needs to hand one of its functions to a helper such as bpf_loop.
func isFunctionAddress(ins asm.Instruction) bool { return ins.IsLoadOfFunctionPointer() }

var pointerRefused = regexp.MustCompile(`!root|pointer .*prohibited|leaks addr|unprivileged`)

// withoutPerfmon tells programs that compute with pointers what they miss: the verifier takes them with CAP_PERFMON.
func withoutPerfmon(p *ebpf.ProgramSpec, rejected *VerifierError) error {
	caps, err := kernel.Capabilities()
	reason, _ := verifierReason(rejected.Log)
	if err != nil || caps.Has(kernel.CapPerfmon) || !pointerRefused.MatchString(reason) {
		return rejected
	}
	what := fmt.Sprintf("load program %s: rejected by the verifier: %s", p.Name, reason)
	return &PermissionError{What: what, Capability: kernel.CapPerfmon.String(), Cause: rejected}
}

// causeOf returns the errno of an error if it has one, so that the text does not hold the log twice.
func causeOf(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// usesTrampoline reports whether a program runs only through a BPF trampoline.
func usesTrampoline(p *ebpf.ProgramSpec) bool {
	switch p.Type {
	case ebpf.LSM, ebpf.StructOps, ebpf.Extension:
		return true
	case ebpf.Tracing:
		return p.AttachType != ebpf.AttachTraceRawTp && p.AttachType != ebpf.AttachTraceIter
	}
	return false
}

// permissionError tells apart the reasons for EPERM.
func permissionError(p *ebpf.ProgramSpec, hook Hook, err error, log []string) error {
	what := "load program " + p.Name
	if e := lacks(what, kernel.ProgramCaps(p.Type), err); e != nil {
		return e
	}
	if usesTrampoline(p) {
		need := "a kernel that allows them"
		if mode := lockedDown(); mode != "" {
			need += fmt.Sprintf(" (this one is locked down: %q)", mode)
		}
		if p.Type == ebpf.Tracing {
			need += ", or the same program as tp_btf, tracepoint or kprobe"
		}
		return &UnsupportedError{
			Feature: fmt.Sprintf("program %s: %s", p.Name, hook),
			Reason:  "this kernel refuses BPF trampolines (fentry, fexit, fmod_ret, LSM and freplace all need one)",
			Need:    need, Cause: err,
		}
	}
	if len(log) > 0 {
		return &VerifierError{Program: p.Name, Cause: causeOf(err), Log: log}
	}
	if mode := lockedDown(); mode != "" {
		return &PermissionError{What: what, Capability: fmt.Sprintf("a kernel that is not locked down (lockdown is %q; boot without Secure Boot or with lockdown=none)", mode), Cause: err}
	}
	return &PermissionError{What: what, Capability: "a security policy that allows it (SELinux, AppArmor or a BPF LSM may forbid it)", Cause: err}
}

// unknownType explains EINVAL for program types and hooks that this kernel does not have.
func unknownType(p *ebpf.ProgramSpec, hook Hook, err error, log []string, running kernel.Version) error {
	if reason, where := verifierReason(log); reason != "" || where != "" {
		return nil // the verifier was reached, so the type is known
	}
	since, _ := kernel.ProgramSince(p.Type)
	if h, ok := kernel.HookSince(string(hook)); ok && h.AtLeast(since.Major, since.Minor) {
		since = h
	}
	if frags := (kernel.Version{Major: 5, Minor: 18}); p.Flags&unix.BPF_F_XDP_HAS_FRAGS != 0 && older(running, frags) {
		return &UnsupportedError{Feature: fmt.Sprintf("program %s: xdp.frags", p.Name), Need: "Linux " + frags.Short() + ", or section xdp", Cause: err}
	}
	if older(running, since) {
		return &UnsupportedError{Feature: fmt.Sprintf("program %s: %s", p.Name, hookName(hook, p.Type)), Need: "Linux " + since.Short(), Cause: err}
	}
	if errors.Is(features.HaveProgramType(p.Type), ebpf.ErrNotSupported) {
		return &UnsupportedError{Feature: fmt.Sprintf("program %s: type %s", p.Name, p.Type), Reason: "this kernel was built without it", Need: "another kernel configuration", Cause: err}
	}
	return nil
}

func hookName(h Hook, t ebpf.ProgramType) string {
	if h != HookNone {
		return string(h)
	}
	return "type " + t.String()
}

var unknownFunc = regexp.MustCompile(`invalid func (\w+)#(\d+)`)

// unknownHelper finds the helper that the verifier does not know. Empty if that is not the reason.
func unknownHelper(log []string) string {
	for i := len(log) - 1; i >= max(0, len(log)-4); i-- {
		if m := unknownFunc.FindStringSubmatch(log[i]); m != nil {
			if n, err := strconv.ParseUint(m[2], 10, 28); err == nil && n < 1000 {
				return helperName(asm.BuiltinFunc(n))
			}
		}
	}
	return ""
}

// mapCreateError names the map, its type and its sizes.
func mapCreateError(name string, m *ebpf.MapSpec, err error) error {
	what := fmt.Sprintf("create map %s (%s, key %d, value %d bytes, %d entries)", name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries)
	if m.Type == ebpf.RingBuf || m.Type == ebpf.UserRingbuf {
		what = fmt.Sprintf("create map %s (%s, %d bytes)", name, m.Type, m.MaxEntries)
	}
	switch {
	case errors.Is(err, unix.EPERM):
		if e := lacks(what, kernel.MapCaps(m.Type), err); e != nil {
			return e
		}
		if m.Type == ebpf.StructOpsMap {
			return &UnsupportedError{Feature: what, Reason: "this kernel refuses BPF trampolines", Need: "a kernel that allows them", Cause: err}
		}
		return &PermissionError{What: what, Capability: "a higher limit of locked memory (ulimit -l unlimited) or a security policy that allows it", Cause: err}
	case errors.Is(err, unix.EINVAL), errors.Is(err, ebpf.ErrNotSupported):
		if e := unknownMapType(what, m.Type, err, kernel.Running()); e != nil {
			return e
		}
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.E2BIG):
		return fmt.Errorf("%s: not enough memory for its size: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unknownMapType explains EINVAL for types of maps that this kernel does not have.
func unknownMapType(what string, t ebpf.MapType, err error, running kernel.Version) error {
	since, _ := kernel.MapSince(t)
	if t == ebpf.StructOpsMap {
		since, _ = kernel.AttachSince(string(HookStructOps)) // they are made to be linked
	}
	if older(running, since) {
		return &UnsupportedError{Feature: what, Need: "Linux " + since.Short(), Cause: err}
	}
	if errors.Is(features.HaveMapType(t), ebpf.ErrNotSupported) {
		return &UnsupportedError{Feature: what, Reason: "this kernel does not know this type of map", Need: "a newer kernel or another configuration", Cause: err}
	}
	return nil
}

// haveKernelBTF reports whether the kernel's types can be read.
func haveKernelBTF() bool {
	_, err := kernelTypes().Kernel()
	return err == nil
}

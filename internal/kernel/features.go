package kernel

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

func isNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }

// BTF reports whether the kernel gives its types (nil), which CO-RE, tp_btf, fentry, iterators and LSM programs need.
func BTF() error { return hasBTF() }

var hasBTF = sync.OnceValue(func() error {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		if isNotExist(err) {
			return &Missing{Feature: "kernel BTF", Need: "a kernel built with CONFIG_DEBUG_INFO_BTF (and /sys mounted)"}
		}
		return fmt.Errorf("kernel BTF: %w", err)
	}
	return nil
})

// Kprobes reports whether the kernel has kprobes: nil, or why not. Requires at least Linux 4.17 for perf's kprobes.
func Kprobes() error { return probePMU("kprobe", "kprobes", "CONFIG_KPROBES and CONFIG_KPROBE_EVENTS") }

// Uprobes reports whether the kernel has uprobes: nil, or why not. Requires at least Linux 4.17 for perf's uprobes.
func Uprobes() error { return probePMU("uprobe", "uprobes", "CONFIG_UPROBES and CONFIG_UPROBE_EVENTS") }

func probePMU(pmu, feature, config string) error {
	_, err := os.Stat("/sys/bus/event_source/devices/" + pmu + "/type")
	if isNotExist(err) {
		return &Missing{Feature: feature, Need: "a kernel built with " + config + " (and /sys mounted)"}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", feature, err)
	}
	return nil
}

// Trampolines reports whether the kernel can call BPF programs through trampolines, which fentry, fexit, fmod_ret and LSM programs
// need: nil, or why not. The first call loads and attaches a program that does nothing to a function that only
// the kernel's own tests call, and takes it away again. Requires at least Linux 5.5 (arm64: 6.4) and CAP_BPF, CAP_PERFMON.
func Trampolines() error { return trampolines() }

// trampolineNeed says what kernel would do, when this one refuses trampolines with err. root tells that it was asked
// with CAP_SYS_ADMIN.
func trampolineNeed(err error, root bool) string {
	switch {
	case errors.Is(err, ErrUnsupported):
		return "a kernel built with CONFIG_DEBUG_INFO_BTF"
	case errors.Is(err, unix.EPERM) && root:
		return "a kernel whose policy allows BPF trampolines (this one refuses them even to root)"
	case errors.Is(err, unix.EPERM):
		return "a kernel whose policy allows BPF trampolines"
	}
	return "a kernel that allows BPF trampolines: CONFIG_FUNCTION_TRACER with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, " +
		"Linux 5.5 (arm64: 6.4)"
}

var trampolines = sync.OnceValue(func() error {
	const what = "BPF trampolines (fentry, fexit, fmod_ret, lsm)"
	caps, err := Capabilities()
	if err != nil {
		return err
	}
	for _, c := range caps.Missing(CapBPF, CapPerfmon) {
		return &Denied{What: "probe for " + what, Capability: c.String()}
	}
	if err := BTF(); err != nil {
		return &Missing{Feature: what, Need: trampolineNeed(err, false), Cause: err}
	}
	for _, fn := range []string{"bpf_fentry_test1", "vfs_read"} {
		err = tryTrampoline(fn)
		if err == nil {
			return nil
		}
		if !errors.Is(err, btf.ErrNotFound) {
			break
		}
	}
	need := trampolineNeed(err, caps.Has(CapSysAdmin) && InitialUserNamespace())
	return &Missing{Feature: what, Need: need + "; use tp_btf, tracepoint or raw_tracepoint instead", Cause: rootCause(err)}
})

func tryTrampoline(fn string) error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "bowline_probe",
		Type:         ebpf.Tracing,
		AttachType:   ebpf.AttachTraceFEntry,
		AttachTo:     fn,
		License:      "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: p, AttachType: ebpf.AttachTraceFEntry})
	if err != nil {
		return err
	}
	return l.Close()
}

// rootCause is the kernel's number inside an error, without the way it took.
func rootCause(err error) error {
	var no unix.Errno
	if errors.As(err, &no) {
		return no
	}
	return err
}

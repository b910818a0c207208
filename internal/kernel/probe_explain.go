package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// errTrampoline is the answer of a test that depends on BPF trampolines, which this kernel refuses. It comes with the
// [Missing] of [Trampolines].
var errTrampoline = errors.New("needs a BPF trampoline, which this kernel refuses")

// errUntried is the answer of a test that could not be made, which says nothing about the feature.
var errUntried = errors.New("cannot be tried without CAP_SYS_ADMIN, in a network namespace of its own")

// explain turns the result of a test into an answer, its reason and what to do.
func (h *probeHost) explain(t probeTest, err error) (answer ProbeAnswer, why, get string) {
	var missing *Missing
	var denied *Denied
	switch {
	case err == nil:
		return ProbeYes, "", ""
	case h.olderThan(t.since):
		return ProbeNo, fmt.Sprintf("Linux %s is too old", h.version), "Linux " + t.since + " or newer"
	}
	for _, c := range t.config {
		if h.config != nil && !h.config.On(c) {
			return ProbeNo, "kernel built without " + c, "a kernel built with " + c + "=y"
		}
	}
	switch {
	case errors.Is(err, errUntried) && h.missing(t.caps) == "":
		return ProbeUnknown, err.Error(), "run as root to know"
	case errors.As(err, &denied):
		missing := cmp.Or(h.missing(t.caps), denied.Capability)
		if missing != "" && !strings.Contains(missing, ", or ") { // a way without the capability is in the text
			return ProbeDenied, "needs " + missing, h.grantHint(missing)
		}
		return ProbeDenied, oneLine(err.Error()), "run as root"
	case errors.Is(err, errTrampoline) && errors.As(err, &missing) && !h.maybeAdmin(missing.Cause):
		why = fmt.Sprintf("%s (%s)", errTrampoline, errnoText(missing.Cause))
		return ProbeNo, why, trampolineNeed(missing.Cause, h.administrator())
	case errors.As(err, &missing) && !h.maybeAdmin(missing.Cause):
		why = "this kernel does not have it"
		if missing.Cause != nil {
			why = "this kernel refuses it (" + errnoText(missing.Cause) + ")"
		}
		return ProbeNo, why, missing.Need
	}
	if isDenied(err) {
		if missing := h.missing(t.caps); missing != "" {
			return ProbeDenied, "needs " + missing, h.grantHint(missing)
		}
		if h.maybeAdmin(err) {
			return ProbeDenied, "refused (" + errnoText(err) + "); CAP_SYS_ADMIN may be missing", h.grantHint(CapSysAdmin.String())
		}
		return ProbeNo, "the kernel refuses it whatever the privileges (" + errnoText(err) + ")", h.refusalHint()
	}
	switch {
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP),
		errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EAFNOSUPPORT),
		errors.Is(err, unix.ENOSYS), errors.Is(err, unix.E2BIG), errors.Is(err, errno524):
		get = "another kernel"
		if len(t.config) > 0 {
			get = "a kernel built with " + strings.Join(t.config, ", ")
		}
		return ProbeNo, "this kernel does not have it (" + errnoText(err) + ")", get
	}
	return ProbeUnknown, oneLine(err.Error()), ""
}

// errno524 is ENOTSUPP, which the kernel leaks to user space and unix does not name.
const errno524 = unix.Errno(524)

func isDenied(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// errnoText is the symbolic name of the errno in an error, else its last words.
func errnoText(err error) string {
	var no unix.Errno
	if errors.As(err, &no) {
		if no == errno524 {
			return "ENOTSUPP"
		}
		if s := unix.ErrnoName(no); s != "" {
			return s
		}
	}
	return oneLine(err.Error())
}

// oneLine keeps the first line of a text, which verifier errors have many of.
func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimSuffix(s, ":")
}

// probeBasics makes a map and loads a program: without these nothing works.
func probeBasics() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("make a map: %w", err)
	}
	defer m.Close()
	p, err := loadProbe(&ebpf.ProgramSpec{Type: ebpf.TracePoint})
	if err != nil {
		return fmt.Errorf("load a program: %w", err)
	}
	return p.Close()
}

// loadProbe loads a program that only returns, or does what the spec says.
func loadProbe(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	if spec.Instructions == nil {
		spec.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	}
	if spec.License == "" {
		spec.License = "GPL"
	}
	if spec.Type == ebpf.Kprobe {
		spec.KernelVersion = VersionCode()
	}
	return ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogDisabled: true})
}

// verdict sums up from the result of probeBasics.
func (h *probeHost) verdict(err error) (v ProbeVerdict, reason, get string) {
	missing := h.missing([]Cap{CapBPF, CapPerfmon})
	switch {
	case err == nil && missing == "":
		return VerdictOK, "", ""
	case errors.Is(err, unix.ENOSYS):
		return VerdictUnusable, "the kernel has no bpf() system call", "a kernel built with CONFIG_BPF_SYSCALL=y"
	case missing != "" && (err == nil || isDenied(err)):
		return VerdictDenied, "this process has no " + missing, h.grantHint(missing)
	case h.maybeAdmin(err):
		return VerdictDenied, "bpf() is refused, CAP_SYS_ADMIN may be missing: " + oneLine(err.Error()), h.grantHint(CapSysAdmin.String())
	case isDenied(err):
		return VerdictUnusable, "bpf() is refused whatever the privileges: " + oneLine(err.Error()), h.refusalHint()
	}
	return VerdictUnusable, oneLine(err.Error()), ""
}

// olderThan tells whether the running kernel is older than a version such as "5.8".
func (h *probeHost) olderThan(since string) bool {
	v, err := ParseVersion(since)
	return err == nil && !h.version.AtLeast(v.Major, v.Minor)
}

// missing lists the capabilities among caps that this process lacks, as text; empty if none.
func (h *probeHost) missing(caps []Cap) string {
	held := h.caps
	if !h.initialUserNS {
		held = 0
	}
	var out []string
	for _, c := range held.Missing(caps...) {
		out = append(out, c.String())
	}
	if len(out) > 0 && h.olderThan("5.8") {
		return CapSysAdmin.String()
	}
	return strings.Join(out, " and ")
}

// administrator tells whether this process holds CAP_SYS_ADMIN where it counts.
func (h *probeHost) administrator() bool { return h.initialUserNS && h.caps.Has(CapSysAdmin) }

// maybeAdmin tells whether a refusal may be for want of CAP_SYS_ADMIN. Only who holds it knows that the kernel refuses
// something to everybody.
func (h *probeHost) maybeAdmin(err error) bool { return isDenied(err) && !h.administrator() }

// grantHint says how to get capabilities.
func (h *probeHost) grantHint(caps string) string {
	if !h.initialUserNS {
		return "run outside the user namespace (BPF needs capabilities of the initial one)"
	}
	// setcap replaces what the file has.
	list := strings.ToLower(strings.Join(append(slices.Clone(h.privileges.Held), strings.Split(caps, " and ")...), ","))
	return "run as root, or once: sudo setcap " + list + "+ep $(command -v bowline)"
}

// refusalHint names what is known to refuse BPF to root.
func (h *probeHost) refusalHint() string {
	switch {
	case h.privileges.Seccomp:
		return "allow bpf() and perf_event_open() in the seccomp profile of this container or service"
	case h.kernel.Lockdown == "confidentiality":
		return "boot with lockdown=integrity or without lockdown"
	}
	return "another kernel"
}

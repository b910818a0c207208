package bpf

import (
	"bytes"
	"os"
	"strings"

	"github.com/bowline-edge/bowline/internal/kernel"
	"golang.org/x/sys/unix"
)

// tooOld reports whether the running kernel is older than v for certain, which it is not if v is not known (zero).
func tooOld(v kernel.Version) bool { return older(kernel.Running(), v) }

func older(running, v kernel.Version) bool {
	return running != (kernel.Version{}) && !running.AtLeast(v.Major, v.Minor)
}

// lacks turns EPERM into an error if this process lacks a privilege, else it returns nil.
func lacks(what string, want []kernel.Cap, cause error) error {
	if tooOld(kernel.Version{Major: 5, Minor: 8}) {
		want = []kernel.Cap{kernel.CapSysAdmin}
	}
	have, err := kernel.Capabilities()
	if missing := have.Missing(want...); err == nil && len(missing) > 0 && have&(1<<kernel.CapSysAdmin) == 0 {
		names := make([]string, len(missing))
		for i, c := range missing {
			names[i] = c.String()
		}
		return &PermissionError{What: what, Capability: strings.Join(names, " and ") + unprivilegedHint(), Cause: cause}
	}
	if reason := refusedBy(); reason != "" {
		return &PermissionError{What: what, Capability: reason, Cause: cause}
	}
	return nil
}

// refusedBy looks for what other than a missing capability makes the kernel answer EPERM to bpf(2). Empty if nothing is found.
func refusedBy() string {
	if !kernel.InitialUserNamespace() {
		return "its capabilities in the first user namespace (this process is in another one, as in a rootless container)"
	}
	b, err := os.ReadFile("/proc/thread-self/status")
	if err == nil && bytes.Contains(b, []byte("\nSeccomp:\t2\n")) {
		return "a seccomp filter that allows bpf(2) (this process has one, as containers do; for Docker: --security-opt seccomp=unconfined)"
	}
	return ""
}

// lockedDown returns the mode of the kernel's lockdown, empty if it is not locked down. Lockdown takes helpers away (writing
// to a program's memory; with "confidentiality" also reading the kernel's) but a kernel may refuse more because of it.
func lockedDown() string {
	if mode, err := kernel.Lockdown(); err == nil && mode != "none" {
		return mode
	}
	return ""
}

// unprivilegedHint says what forbids BPF to processes without capabilities.
func unprivilegedHint() string {
	const help = "; run as root or give the binary the capability with setcap"
	b, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled")
	if err != nil || len(b) == 0 || b[0] == '0' {
		return help
	}
	return " (kernel.unprivileged_bpf_disabled is " + string(bytes.TrimSpace(b)) + ")" + help
}

// raiseMemlock lifts the limit on locked memory where the kernel counts maps and programs against it (before Linux 5.11).
// The limit is of the whole process and stays raised. If it cannot be raised far enough the kernel says so later.
func raiseMemlock() {
	if !tooOld(kernel.Version{Major: 5, Minor: 11}) {
		return
	}
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &old); err != nil || old.Cur == unix.RLIM_INFINITY {
		return
	}
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &all, nil) == nil {
		return
	}
	most := unix.Rlimit{Cur: old.Max, Max: old.Max} // as far as it goes without CAP_SYS_RESOURCE
	_ = unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &most, nil)
}

package bpf

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// capability is a bit of the kernel's capability sets.
type capability uint

const (
	capNetAdmin capability = 12
	capSysAdmin capability = 21
	capPerfmon  capability = 38
	capBPF      capability = 39
)

var capabilityName = map[capability]string{capNetAdmin: "CAP_NET_ADMIN", capSysAdmin: "CAP_SYS_ADMIN", capPerfmon: "CAP_PERFMON", capBPF: "CAP_BPF"}

// capabilitiesFor lists what loading a program of a type takes, as bpf_prog_load checks it.
func capabilitiesFor(t ebpf.ProgramType) []capability {
	if v := kernelVersion(); v != (version{}) && v.less(version{5, 8}) {
		return []capability{capSysAdmin}
	}
	switch t {
	case ebpf.Kprobe, ebpf.TracePoint, ebpf.PerfEvent, ebpf.RawTracepoint, ebpf.RawTracepointWritable, ebpf.Tracing, ebpf.LSM, ebpf.StructOps:
		return []capability{capBPF, capPerfmon}
	case ebpf.Extension:
		return []capability{capBPF, capPerfmon, capNetAdmin}
	case ebpf.SchedCLS, ebpf.SchedACT, ebpf.XDP, ebpf.LWTIn, ebpf.LWTOut, ebpf.LWTXmit, ebpf.LWTSeg6Local, ebpf.SkSKB, ebpf.SkMsg,
		ebpf.FlowDissector, ebpf.CGroupDevice, ebpf.CGroupSock, ebpf.CGroupSockAddr, ebpf.CGroupSockopt, ebpf.CGroupSysctl, ebpf.SockOps,
		ebpf.Netfilter:
		return []capability{capBPF, capNetAdmin}
	}
	return []capability{capBPF}
}

// missingCapabilities names those of want that this process does not have; empty if it has all, or if that cannot be told.
// CAP_SYS_ADMIN stands for all of them, as in the kernel.
func missingCapabilities(want []capability) string {
	have, ok := effectiveCapabilities()
	if !ok || have&(1<<capSysAdmin) != 0 {
		return ""
	}
	var names []string
	for _, c := range want {
		if have&(1<<c) == 0 {
			names = append(names, capabilityName[c])
		}
	}
	return strings.Join(names, " and ")
}

// effectiveCapabilities reads the capabilities of the calling thread.
func effectiveCapabilities() (uint64, bool) {
	s, ok := statusField("CapEff:")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 16, 64)
	return n, err == nil
}

// statusField reads a line of /proc/thread-self/status.
func statusField(name string) (string, bool) {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return "", false
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return string(bytes.TrimSpace(rest)), true
		}
	}
	return "", false
}

// refusedBy looks for what other than a missing capability makes the kernel answer EPERM to bpf(2). Empty if nothing is found.
func refusedBy() string {
	if b, err := os.ReadFile("/sys/kernel/security/lockdown"); err == nil {
		for _, mode := range []string{"integrity", "confidentiality"} {
			if bytes.Contains(b, []byte("["+mode+"]")) {
				return fmt.Sprintf("a kernel that is not locked down (lockdown is %q; boot without Secure Boot or lockdown=none)", mode)
			}
		}
	}
	if b, err := os.ReadFile("/proc/self/uid_map"); err == nil {
		if f := strings.Fields(string(b)); len(f) != 3 || f[0] != "0" || f[1] != "0" || f[2] != "4294967295" {
			return "its capabilities in the first user namespace (this process is in another one, as in an unprivileged container)"
		}
	}
	if s, ok := statusField("Seccomp:"); ok && s == "2" {
		return "a seccomp filter that allows bpf(2) (this process has one, as containers do; for Docker: --security-opt seccomp=unconfined)"
	}
	return ""
}

// unprivilegedHint says what forbids BPF to processes without capabilities.
func unprivilegedHint() string {
	b, err := os.ReadFile("/proc/sys/kernel/unprivileged_bpf_disabled")
	if err != nil || len(b) == 0 || b[0] == '0' {
		return ""
	}
	return " (kernel.unprivileged_bpf_disabled is " + string(bytes.TrimSpace(b)) + "); run as root or give the binary the capability with setcap"
}

// version is the beginning of a kernel's version.
type version struct{ major, minor int }

func (v version) less(o version) bool {
	return v.major < o.major || v.major == o.major && v.minor < o.minor
}

func (v version) String() string { return fmt.Sprintf("Linux %d.%d", v.major, v.minor) }

// kernelVersion is the running kernel's; zero if it cannot be read.
func kernelVersion() version {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return version{}
	}
	var v version
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &v.major, &v.minor); n != 2 {
		return version{}
	}
	return v
}

// raiseMemlock lifts the limit on locked memory where the kernel counts maps and programs against it (before Linux 5.11).
// The limit is of the whole process and stays raised.
func raiseMemlock() {
	if v := kernelVersion(); v == (version{}) || !v.less(version{5, 11}) {
		return
	}
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &old); err != nil || old.Cur == unix.RLIM_INFINITY {
		return
	}
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &all, nil); err != nil {
		most := unix.Rlimit{Cur: old.Max, Max: old.Max} // what is allowed without CAP_SYS_RESOURCE; the kernel says if it is not enough
		_ = unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &most, nil)
	}
}

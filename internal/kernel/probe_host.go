package kernel

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ProbeKernel is what the system says about itself.
type ProbeKernel struct {
	Release string `json:"release"`
	Arch    string `json:"arch"`
	// BTF tells whether the kernel has its types at /sys/kernel/btf/vmlinux.
	BTF bool `json:"btf"`
	// JIT is "on", "off" or "unknown" (only root may read it on some kernels).
	JIT string `json:"jit"`
	// UnprivilegedBPF is "off", "off until reboot", "on" or "unknown".
	UnprivilegedBPF string `json:"unprivileged_bpf"`
	// Lockdown is "none", "integrity", "confidentiality" or "unknown"; empty on a kernel without it.
	Lockdown string `json:"lockdown"`
	// LSMs are the active security modules; nil if they cannot be read.
	LSMs []string `json:"lsms"`
	// Config is the file that the build configuration was read from, empty if there is none.
	Config string `json:"config,omitempty"`
}

// ProbePrivileges is what a process holds that matters for BPF.
type ProbePrivileges struct {
	UID int `json:"uid"`
	// Held and Missing split the capabilities that BPF tools use.
	Held    []string `json:"held"`
	Missing []string `json:"missing"`
	// UserNamespace tells that the process is in a user namespace of its own, where capabilities do not count for BPF.
	UserNamespace bool `json:"user_namespace"`
	// Seccomp tells that a seccomp filter is active, which may refuse bpf() even to root.
	Seccomp bool `json:"seccomp"`
	// Memlock is what the limit for locked memory means here: "not needed" from Linux 5.11 on.
	Memlock string `json:"memlock"`
}

// ProbeMount is one file system that BPF tools use.
type ProbeMount struct {
	Type string `json:"type"`
	// Path is where it is mounted, empty if it is not.
	Path string `json:"path"`
	// Without says what works when it is not mounted, Get how to mount it.
	Without string `json:"without,omitempty"`
	Get     string `json:"get,omitempty"`
}

// probeHost is what the tests and the explanations need to know.
type probeHost struct {
	version       Version
	config        *Config // nil if it cannot be read
	caps          CapSet
	initialUserNS bool

	kernel     ProbeKernel
	privileges ProbePrivileges
	mounts     []ProbeMount
}

// readHost collects what can be read without trying anything.
func readHost() *probeHost {
	h := &probeHost{version: Running(), initialUserNS: InitialUserNamespace()}
	h.config, _ = KernelConfig()
	h.caps, _ = Capabilities()
	h.kernel = readProbeKernel(h.config)
	h.privileges = h.readPrivileges()
	h.mounts = readProbeMounts()
	return h
}

func readProbeKernel(config *Config) ProbeKernel {
	var k ProbeKernel
	k.Release, k.Arch = Release()
	k.BTF = BTF() == nil
	k.JIT = sysctl("net/core/bpf_jit_enable", map[string]string{"0": "off", "1": "on", "2": "on"})
	if k.JIT == "unknown" && config != nil && config.On("CONFIG_BPF_JIT_ALWAYS_ON") {
		k.JIT = "on"
	}
	k.UnprivilegedBPF = sysctl("kernel/unprivileged_bpf_disabled",
		map[string]string{"0": "on", "1": "off until reboot", "2": "off"})
	k.Lockdown = "unknown"
	if s, err := Lockdown(); err == nil {
		k.Lockdown = s
	}
	k.LSMs, _ = LSMs()
	if config != nil {
		k.Config = config.Source
	}
	return k
}

// sysctl reads a setting and gives its meaning, "unknown" if it cannot be read.
func sysctl(name string, meaning map[string]string) string {
	b, err := os.ReadFile("/proc/sys/" + name)
	if s, ok := meaning[strings.TrimSpace(string(b))]; err == nil && ok {
		return s
	}
	return "unknown"
}

func (h *probeHost) readPrivileges() ProbePrivileges {
	p := ProbePrivileges{
		UID: os.Geteuid(), Held: []string{}, Missing: []string{}, UserNamespace: !h.initialUserNS,
		Seccomp: seccompActive(), Memlock: "not needed (Linux 5.11 or newer)",
	}
	for _, c := range []Cap{CapBPF, CapPerfmon, CapNetAdmin, CapSysAdmin} {
		if h.caps&(1<<c) != 0 {
			p.Held = append(p.Held, c.String())
		} else {
			p.Missing = append(p.Missing, c.String())
		}
	}
	if h.olderThan("5.11") {
		var r unix.Rlimit
		p.Memlock = "unknown"
		if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r); err == nil {
			p.Memlock = fmt.Sprintf("%d KiB; raised by itself with CAP_SYS_RESOURCE", r.Cur>>10)
			if r.Cur == unix.RLIM_INFINITY {
				p.Memlock = "unlimited"
			}
		}
	}
	return p
}

// seccompActive tells whether a seccomp filter is on this process.
func seccompActive() bool {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(v) == "2"
		}
	}
	return false
}

// probeMountTypes lists the file systems in question with what their absence means.
var probeMountTypes = []ProbeMount{
	{Type: "tracefs", Without: "tracepoints work all the same with CAP_SYS_ADMIN, by a private mount",
		Get: "sudo mount -t tracefs tracefs /sys/kernel/tracing"},
	{Type: "bpf", Without: "everything but pinning works",
		Get: "sudo mount -t bpf bpf /sys/fs/bpf"},
	{Type: "cgroup2", Without: "cgroup hooks work all the same with CAP_SYS_ADMIN, by a private mount",
		Get: "sudo mkdir -p /sys/fs/cgroup/unified && sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"},
	{Type: "securityfs", Without: "the list of security modules is read with CAP_SYS_ADMIN, by a private mount",
		Get: "sudo mount -t securityfs securityfs /sys/kernel/security"},
}

func readProbeMounts() []ProbeMount {
	list, _ := Mounts()
	out := make([]ProbeMount, len(probeMountTypes))
	for i, want := range probeMountTypes {
		out[i] = want
		for _, m := range list {
			if m.Type == want.Type && m.Root == "/" {
				out[i] = ProbeMount{Type: m.Type, Path: m.Point}
				break
			}
		}
	}
	return out
}

package kernel

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Cap is the number of a capability.
type Cap uint

// The capabilities that bowline may need.
const (
	CapDACOverride   Cap = unix.CAP_DAC_OVERRIDE
	CapDACReadSearch Cap = unix.CAP_DAC_READ_SEARCH
	CapFowner        Cap = unix.CAP_FOWNER
	CapNetAdmin      Cap = unix.CAP_NET_ADMIN
	CapNetRaw        Cap = unix.CAP_NET_RAW
	CapSysPtrace     Cap = unix.CAP_SYS_PTRACE
	CapSysAdmin      Cap = unix.CAP_SYS_ADMIN
	CapSysResource   Cap = unix.CAP_SYS_RESOURCE
	CapSyslog        Cap = unix.CAP_SYSLOG
	CapPerfmon       Cap = unix.CAP_PERFMON // Linux 5.8; CAP_SYS_ADMIN before
	CapBPF           Cap = unix.CAP_BPF     // Linux 5.8; CAP_SYS_ADMIN before
)

// capNames are the names without CAP_, by number.
var capNames = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
	NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
	SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
	MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// String is the name of the capability: "CAP_BPF".
func (c Cap) String() string {
	if int(c) < len(capNames) {
		return "CAP_" + capNames[c]
	}
	return fmt.Sprintf("capability %d", uint(c))
}

// ParseCap reads a name such as "CAP_BPF" or "bpf".
func ParseCap(name string) (Cap, bool) {
	i := slices.Index(capNames, strings.TrimPrefix(strings.ToUpper(name), "CAP_"))
	return Cap(max(i, 0)), i >= 0
}

// CapSet is a set of capabilities, one bit each.
type CapSet uint64

// Has reports whether the set allows what c allows: CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON.
func (s CapSet) Has(c Cap) bool {
	if s&(1<<c) != 0 {
		return true
	}
	return (c == CapBPF || c == CapPerfmon) && s&(1<<CapSysAdmin) != 0
}

// Caps makes a set.
func Caps(list ...Cap) (s CapSet) {
	for _, c := range list {
		s |= 1 << c
	}
	return s
}

// String lists the names of a set, "none" if it is empty.
func (s CapSet) String() string {
	var names []string
	for c := range Cap(64) {
		if s&(1<<c) != 0 {
			names = append(names, c.String())
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// Missing lists those of want that the set does not allow.
func (s CapSet) Missing(want ...Cap) []Cap {
	var missing []Cap
	for _, c := range want {
		if !s.Has(c) {
			missing = append(missing, c)
		}
	}
	return missing
}

// Capabilities are the effective capabilities of the calling thread. They count only in the thread's user namespace: see
// [InitialUserNamespace].
func Capabilities() (CapSet, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return CapSet(data[0].Effective) | CapSet(data[1].Effective)<<32, nil
}

// InitialUserNamespace reports whether the process is in the user namespace that the machine started with. In any other one,
// as in rootless containers, capabilities do not allow BPF.
func InitialUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // a kernel without user namespaces has no such file
	}
	return strings.Join(strings.Fields(string(b)), " ") == "0 0 4294967295"
}

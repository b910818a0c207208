package kernel

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Cap is the number of a capability.
type Cap uint

// The capabilities that programs in the kernel need.
const (
	CapDACReadSearch Cap = unix.CAP_DAC_READ_SEARCH
	CapNetAdmin      Cap = unix.CAP_NET_ADMIN
	CapNetRaw        Cap = unix.CAP_NET_RAW
	CapSysPtrace     Cap = unix.CAP_SYS_PTRACE
	CapSysAdmin      Cap = unix.CAP_SYS_ADMIN
	CapSysResource   Cap = unix.CAP_SYS_RESOURCE
	CapSyslog        Cap = unix.CAP_SYSLOG
	CapPerfmon       Cap = unix.CAP_PERFMON // Linux 5.8; CAP_SYS_ADMIN before
	CapBPF           Cap = unix.CAP_BPF     // Linux 5.8; CAP_SYS_ADMIN before
)

var capNames = map[Cap]string{
	CapDACReadSearch: "CAP_DAC_READ_SEARCH", CapNetAdmin: "CAP_NET_ADMIN", CapNetRaw: "CAP_NET_RAW",
	CapSysPtrace: "CAP_SYS_PTRACE", CapSysAdmin: "CAP_SYS_ADMIN", CapSysResource: "CAP_SYS_RESOURCE",
	CapSyslog: "CAP_SYSLOG", CapPerfmon: "CAP_PERFMON", CapBPF: "CAP_BPF",
}

// String is the name of the capability: "CAP_BPF".
func (c Cap) String() string {
	if s, ok := capNames[c]; ok {
		return s
	}
	return fmt.Sprintf("capability %d", uint(c))
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

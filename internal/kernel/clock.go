package kernel

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is one of the kernel's clocks.
type Clock int

// The clocks that BPF programs have, too.
const (
	// Boottime counts since boot, also while the machine sleeps: bpf_ktime_get_boot_ns.
	Boottime Clock = unix.CLOCK_BOOTTIME
	// Monotonic counts since boot, but not while the machine sleeps: bpf_ktime_get_ns.
	Monotonic Clock = unix.CLOCK_MONOTONIC
	// TAI is atomic time, without leap seconds: bpf_ktime_get_tai_ns (Linux 6.1).
	TAI Clock = unix.CLOCK_TAI
	// Realtime is the time of day since 1970 in UTC.
	Realtime Clock = unix.CLOCK_REALTIME
)

// Now reads a clock.
func (c Clock) Now() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(c), &ts); err != nil {
		return 0, fmt.Errorf("read clock %d: %w", int(c), err)
	}
	return time.Duration(ts.Nano()), nil
}

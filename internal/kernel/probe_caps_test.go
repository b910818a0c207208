package kernel

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// It cannot use kerneltest, which uses this package.
func TestProbeOfUprobesNeedsNoAdministrator(t *testing.T) {
	caps, err := Capabilities()
	if err != nil || len(caps.Missing(CapBPF, CapPerfmon, CapSysAdmin)) > 0 {
		t.Skip("needs root: run it with sudo")
	}
	if err := Uprobes(); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&hdr, &had[0]); err != nil {
		t.Fatal(err)
	}
	fewer := had
	fewer[0].Effective, fewer[1].Effective = 0, 1<<(CapBPF-32)|1<<(CapPerfmon-32)
	if err := unix.Capset(&hdr, &fewer[0]); err != nil {
		t.Fatal(err)
	}
	err = tryUprobe()
	if back := unix.Capset(&hdr, &had[0]); back != nil {
		t.Fatal(back)
	}
	if err != nil && (Running().AtLeast(6, 6) || !errors.Is(err, ErrPermission)) {
		t.Errorf("got %v", err)
	}
}

package kerneltest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// WithoutCapabilities runs f on a thread that has no effective capabilities: as an ordinary user, but for the files of root.
func WithoutCapabilities(t testing.TB, f func()) {
	t.Helper()
	WithCapabilities(t, nil, f)
}

// WithCapabilities runs f on a thread that has only these effective capabilities.
func WithCapabilities(t testing.TB, keep []kernel.Cap, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&hdr, &had[0]); err != nil {
		t.Fatalf("read capabilities: %v", err)
	}
	fewer := had
	fewer[0].Effective, fewer[1].Effective = 0, 0
	for _, c := range keep {
		fewer[c/32].Effective |= 1 << (c % 32) & had[c/32].Permitted
	}
	if err := unix.Capset(&hdr, &fewer[0]); err != nil {
		t.Fatalf("drop capabilities: %v", err)
	}
	defer func() {
		if err := unix.Capset(&hdr, &had[0]); err != nil {
			t.Errorf("take capabilities back: %v", err)
		}
	}()
	f()
}

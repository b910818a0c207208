// Package kerneltest is for tests that use the real kernel: it makes network namespaces, devices, cgroups and a bpf file system that
// vanish with the test, skips a test only if this kernel really lacks what it needs, and fails a test binary that leaves anything
// behind.
package kerneltest

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// RequireRoot skips the test without the privileges to load and attach programs.
func RequireRoot(t testing.TB) {
	t.Helper()
	caps, err := kernel.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	missing := caps.Missing(kernel.CapSysAdmin, kernel.CapNetAdmin, kernel.CapBPF, kernel.CapPerfmon)
	if len(missing) > 0 || !kernel.InitialUserNamespace() {
		t.Skipf("needs root: run it with sudo (missing: %v)", missing)
	}
}

// Cgroup makes a cgroup v2 group and removes it after the test. It returns the path relative to the root of cgroup v2.
func Cgroup(t testing.TB) string {
	t.Helper()
	root := detachedRoot(t, "cgroup2")
	name, err := os.MkdirTemp(root, "bowline-test-")
	if err != nil {
		t.Fatalf("make a cgroup: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Rmdir(name); err != nil {
			t.Errorf("remove cgroup %s: %v", name, err)
		}
	})
	return name[len(root)+1:]
}

// InCgroup runs f with the whole test process in a cgroup that [Cgroup] made, and moves it back afterwards. Not for parallel tests.
func InCgroup(t testing.TB, name string, f func()) {
	t.Helper()
	root := detachedRoot(t, "cgroup2")
	before := selfCgroup(t)
	move := func(to string) {
		t.Helper()
		if err := os.WriteFile(root+"/"+to+"/cgroup.procs", []byte("0"), 0); err != nil {
			t.Fatalf("move to cgroup %s: %v", to, err)
		}
	}
	move(name)
	defer move(before)
	f()
}

// Bpffs is a directory in a bpf file system that is mounted nowhere. Pins in it are gone after the test.
func Bpffs(t testing.TB) string {
	t.Helper()
	return detachedRoot(t, "bpf")
}

// detachedRoot is a path to a mount that hangs nowhere.
func detachedRoot(t testing.TB, name string) string {
	t.Helper()
	ctx, err := unix.Fsopen(name, unix.FSOPEN_CLOEXEC)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fdPath(fd)
}

// Eventually waits for what the kernel does in its own time, such as freeing what nobody holds any more, and fails after ten seconds.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within ten seconds", what)
		}
	}
}

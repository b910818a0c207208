package confine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// inChild names the test whose child this process is: what is given up does not come back.
const inChild = "BOWLINE_TEST_CONFINED"

// childDir is a directory for the child, which may not be able to remove it itself.
const childDir = "BOWLINE_TEST_DIR"

// child runs the calling test once more in a process of its own with attr, and answers false. There it answers true.
func child(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(inChild) == t.Name() {
		return true
	}
	// Users other than root cannot reach the test binary by its path.
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	c := exec.Command("/proc/self/fd/3", "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env, c.Dir, c.SysProcAttr, c.ExtraFiles = append(os.Environ(), inChild+"="+t.Name(), childDir+"="+t.TempDir()), "/", attr, []*os.File{exe}
	out, err := c.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("--- SKIP: "+t.Name())) {
		t.Skipf("%s", out)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv(inChild) == "" {
		t.Skip("needs root: run it with sudo")
	}
}

// threads makes a few threads that do nothing, some of them in the kernel.
func threads(t *testing.T) {
	t.Helper()
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			var b [1]byte
			_, _ = syscall.Read(int(r.Fd()), b[:])
		}()
		<-started
	}
}

// statuses checks lines of the status of every thread.
func statuses(t *testing.T, want map[string]string) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d threads, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(l), ":\t")
			if w, ok := want[name]; ok && value != w {
				t.Errorf("%s has %s %s, want %s", f, name, value, w)
			}
		}
	}
}

func set(s kernel.CapSet) string { return fmt.Sprintf("%016x", uint64(s)) }

func TestDropReachesEveryThread(t *testing.T) {
	requireRoot(t)
	if !child(t, nil) {
		return
	}
	threads(t)
	have, err := kernel.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	keep := have & kernel.Caps(kernel.CapNetAdmin, kernel.CapBPF)
	if err := Drop(keep | kernel.Caps(kernel.CapDACOverride)); err != nil {
		t.Fatal(err)
	}
	more := set(keep | kernel.Caps(kernel.CapDACOverride))
	statuses(t, map[string]string{"CapEff": more, "CapPrm": more, "CapInh": set(0), "CapAmb": set(0), "NoNewPrivs": "1"})
	for _, next := range []kernel.CapSet{keep, 0} {
		if err := Drop(next); err != nil {
			t.Fatal(err)
		}
		statuses(t, map[string]string{"CapEff": set(next), "CapPrm": set(next)})
	}
	if err := exec.Command("/bin/mount", "-t", "tmpfs", "none", "/mnt").Run(); err == nil {
		t.Error("a program that it starts may do more")
	}
}

// A user who is not root has no CAP_SETPCAP, with file capabilities or ambient ones.
func TestDropByAnotherUser(t *testing.T) {
	requireRoot(t)
	if !kernel.Running().AtLeast(5, 8) {
		t.Skip("this kernel has no CAP_BPF")
	}
	if !child(t, &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_NET_ADMIN},
	}) {
		return
	}
	threads(t)
	statuses(t, map[string]string{"CapAmb": set(kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin))})
	keep := kernel.Caps(kernel.CapBPF, kernel.CapPerfmon)
	if err := Drop(keep | kernel.Caps(kernel.CapSysAdmin)); err != nil { // which it does not have
		t.Fatal(err)
	}
	statuses(t, map[string]string{"CapEff": set(keep), "CapPrm": set(keep), "CapInh": set(0), "CapAmb": set(0), "NoNewPrivs": "1"})
}

func TestFilesClosesAllButThePaths(t *testing.T) {
	if FilesABI() == 0 {
		t.Skip("this kernel has no Landlock")
	}
	if !child(t, nil) {
		return
	}
	dir := os.Getenv(childDir)
	for _, d := range []string{"read", "write", "other"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d, "f"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../other/f", filepath.Join(dir, "read", "link")); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(filepath.Join(dir, "other", "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	threads(t)
	err = Files([]Path{{Name: dir + "/read"}, {Name: dir + "/write", Write: true}, {Name: dir + "/missing"}, {Name: "/proc/self"}, {Name: "/dev/null", Write: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		do     func() error
		denied bool
	}{
		{"read", func() error { _, err := os.ReadFile(dir + "/read/f"); return err }, false},
		{"write where it may read", func() error { return os.WriteFile(dir+"/read/f", nil, 0o644) }, true},
		{"write", func() error { return os.WriteFile(dir+"/write/new", nil, 0o644) }, false},
		{"rename", func() error { return os.Rename(dir+"/write/new", dir+"/write/newer") }, false},
		{"remove", func() error { return os.Remove(dir + "/write/newer") }, false},
		{"read elsewhere", func() error { _, err := os.ReadFile(dir + "/other/f"); return err }, true},
		{"follow a link out", func() error { _, err := os.ReadFile(dir + "/read/link"); return err }, true},
		{"list elsewhere", func() error { _, err := os.ReadDir(dir + "/other"); return err }, true},
		{"write elsewhere", func() error { return os.WriteFile(dir+"/other/new", nil, 0o644) }, true},
		{"read what is open", func() error { _, err := open.Read(make([]byte, 1)); return err }, false},
		{"start a program", func() error { return exec.Command("/bin/true").Run() }, true},
		{"look into its parent", func() error { _, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid())); return err }, true},
	} {
		if err := c.do(); c.denied != errors.Is(err, os.ErrPermission) || !c.denied && err != nil {
			t.Errorf("%s: %v, denied should be %v", c.what, err, c.denied)
		}
	}
	statuses(t, map[string]string{"NoNewPrivs": "1"})
}

// File systems of the kernel that are not mounted stay within reach of a process that may not open them any more.
func TestKeptFileSystemsOpenWithoutPrivileges(t *testing.T) {
	requireRoot(t)
	if !child(t, nil) {
		return
	}
	paths := []Path{{Name: "/proc"}, {Name: "/sys"}}
	for _, open := range []func() (*kernel.FS, error){kernel.Tracefs, kernel.Securityfs, kernel.Cgroup2} {
		p, err := kernel.Keep(open)
		if err != nil {
			t.Skip(err)
		}
		paths = append(paths, Path{Name: p})
	}
	if err := Files(paths); err != nil {
		t.Fatal(err)
	}
	if err := Drop(0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		open func() (*kernel.FS, error)
		file string
	}{{kernel.Tracefs, "events/sched/sched_process_exec/id"}, {kernel.Securityfs, "lsm"}, {kernel.Cgroup2, "cgroup.procs"}} {
		for range 2 {
			fs, err := c.open()
			if err != nil {
				t.Error(err)
				continue
			}
			if b, err := fs.ReadFile(c.file); err != nil || len(b) == 0 {
				t.Errorf("read %s: %q, %v", c.file, b, err)
			}
			if err := fs.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Pins are names in a file system, which the process still makes and removes.
func TestPinsWorkWithFilesClosed(t *testing.T) {
	requireRoot(t)
	if !child(t, nil) {
		return
	}
	root := kerneltest.Bpffs(t)
	if err := Files([]Path{{Name: "/proc"}, {Name: "/sys"}, {Name: root, Write: true}}); err != nil {
		t.Fatal(err)
	}
	if err := Drop(kernel.Caps(kernel.CapBPF)); err != nil {
		t.Fatal(err)
	}
	if !kernel.Running().AtLeast(5, 8) {
		t.Skip("this kernel has no CAP_BPF")
	}
	dir, err := bpf.OpenPinDir(filepath.Join(root, "bowline"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	m, err := bpf.CreateMap(bpf.MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := dir.PinMap("m", m); err != nil {
		t.Fatal(err)
	}
	again, err := dir.OpenMap("m", bpf.PinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	if err := dir.Remove("m"); err != nil {
		t.Error(err)
	}
}

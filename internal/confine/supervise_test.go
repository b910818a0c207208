package confine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that takes more memory than its control group has is killed by the kernel, and its parent says why and removes the group.
func TestAChildThatTakesTooMuchMemoryIsKilled(t *testing.T) {
	requireRoot(t)
	is, err := Supervised()
	if err != nil {
		t.Fatal(err)
	}
	if is {
		eat(t)
		return
	}
	places, err := cgroupPlaces()
	if err == nil {
		err = passOnAny(places)
	}
	if err != nil {
		t.Skip(err)
	}
	if !child(t, nil) {
		return
	}
	how, err := Supervise(Command{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	if how.Signal != unix.SIGKILL || !how.OutOfMemory {
		t.Errorf("ended as %+v, want it killed for its memory", how)
	}
	for _, p := range places {
		if left, err := filepath.Glob(filepath.Join(p, "bowline-*")); err != nil || len(left) > 0 {
			t.Errorf("control groups are left: %v, %v", left, err)
		}
	}
}

func passOnAny(places []string) (err error) {
	for _, p := range places {
		if err = passOn(p); err == nil {
			return nil
		}
	}
	return err
}

// eat takes memory until the kernel does not give any more.
func eat(t *testing.T) {
	const limit = 64 << 20
	dir, err := EnterCgroup(Bounds{Memory: limit, Threads: 200, CPU: 400})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "memory.max")); err != nil || strings.TrimSpace(string(b)) != strconv.Itoa(limit) {
		t.Fatalf("memory.max is %q, %v", b, err)
	}
	if own, err := ownCgroup(); err != nil || filepath.Base(own) != groupName(os.Getpid()) {
		t.Fatalf("this process is in %s, %v", own, err)
	}
	for range 64 {
		b, err := unix.Mmap(-1, 0, 8<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
		if err != nil {
			t.Fatal(err)
		}
		b[0] = 1
	}
	t.Fatal("it has taken 512 MiB")
}

func TestAControlGroupNeedsADelegatedPlace(t *testing.T) {
	if !hasWord("cpuset cpu memory\n", "cpu") || hasWord("cpuset memory", "cpu") {
		t.Error("controllers are not told apart")
	}
	if delegated(t.TempDir()) {
		t.Error("a directory of ours is delegated")
	}
	if err := passOn(t.TempDir()); err == nil {
		t.Error("a directory that is no control group passes controllers on")
	}
}

package bpf

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestALoadWithoutDescriptorsSaysSo(t *testing.T) {
	kerneltest.RequireRoot(t)
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	s := open(t, "maps")
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: 256, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}()
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		fds = append(fds, fd)
	}
	unix.Close(fds[0]) // one is left
	fds = fds[1:]
	if _, err := s.Load(LoadOptions{}); !errors.Is(err, unix.EMFILE) {
		t.Errorf("load: %v, want EMFILE", err)
	}
}

package bpf

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestSocketsOfProcessesAreTaken(t *testing.T) {
	kerneltest.RequireRoot(t)
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		f, err := SocketOf(os.Getpid(), int(fd))
		kerneltest.SkipIfUnsupported(t, err)
		if err != nil {
			t.Error(err)
			return
		}
		a, errA := socketCookie(int(fd))
		b, errB := socketCookie(int(f.Fd()))
		if errA != nil || errB != nil || a != b {
			t.Errorf("got socket %d, %v, want %d, %v", b, errB, a, errA)
		}
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("the other's socket became a blocking one: %#x, %v", flags, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		pid, fd int
		word    string
	}{
		{os.Getpid(), int(null.Fd()), "is no socket"}, {os.Getpid(), 1 << 20, "has no descriptor"}, {os.Getpid(), -1, "no descriptor"},
		{1 << 29, 0, "no such process"}, {0, 0, "no descriptor"}, {-5, 0, "no descriptor"},
	} {
		_, err := SocketOf(c.pid, c.fd)
		wantError(t, err, ErrTarget, c.word)
	}
}

package bpf

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// socketOf gives the descriptor of a connection, which stays the connection's.
func socketOf(t *testing.T, c *net.UDPConn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestSocketFilterRuns(t *testing.T) {
	kerneltest.RequireRoot(t)
	c := listen(t)
	_, p := loadHook(t, "net", "filter")
	send := func() {
		if _, err := c.WriteTo([]byte("hello"), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFrom(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	checkRuns(t, mustAttach(t, p, Target{Socket: socketOf(t, c)}), send)
}

func TestSocketFilterOfAReusedDescriptor(t *testing.T) {
	o, p := loadHook(t, "net", "filter")
	first, second := listen(t), listen(t)
	fd := socketOf(t, first)
	l := mustAttach(t, p, Target{Socket: fd})
	other, err := o.Attach(p, Target{Socket: socketOf(t, second)})
	if err != nil {
		t.Fatal(err)
	}
	// Another socket takes the number: its filter must stay.
	if err := unix.Dup3(socketOf(t, second), fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := unix.SetsockoptInt(socketOf(t, second), unix.SOL_SOCKET, unix.SO_DETACH_BPF, 0); err != nil {
		t.Errorf("the other socket lost its filter: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

func TestSocketFilterNeedsASocket(t *testing.T) {
	o, p := loadHook(t, "net", "filter")
	_, err := o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "attach socket: no socket given; set Target.Socket")
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = o.Attach(p, Target{Socket: int(f.Fd())})
	wantError(t, err, ErrTarget, "socket operation on non-socket")
}

func TestReuseportRuns(t *testing.T) {
	o, p := loadHook(t, "net", "reuse")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	l, err := o.Attach(p, Target{Socket: fd})
	if err != nil {
		t.Fatal(err)
	}
	checkRuns(t, l, func() {
		if err := unix.Sendto(fd, []byte("hello"), 0, addr); err != nil {
			t.Fatal(err)
		}
		if _, _, err := unix.Recvfrom(fd, make([]byte, 16), 0); err != nil {
			t.Fatal(err)
		}
	})
}

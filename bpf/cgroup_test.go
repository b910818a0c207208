package bpf

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// connection makes a TCP connection to ourselves.
func connection(t *testing.T) func() {
	return func() {
		t.Helper()
		server, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := net.Dial("tcp4", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		peer, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		peer.Close()
	}
}

// names asks a connected socket for both its addresses.
func names(t *testing.T) func() {
	return func() {
		t.Helper()
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Getsockname(fd); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Getpeername(fd); err != nil {
			t.Fatal(err)
		}
	}
}

// unconnected sends a packet with the address in the call.
func unconnected(t *testing.T) func() {
	return func() {
		t.Helper()
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.WriteTo([]byte("hello"), c.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFrom(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
}

func readSysctl() { os.ReadFile("/proc/sys/kernel/ostype") }

func makeDevice(t *testing.T) func() {
	dir := t.TempDir()
	return func() {
		t.Helper()
		if err := syscall.Mknod(dir+"/null", syscall.S_IFCHR|0o600, 1<<8|3); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(dir + "/null"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCgroupProgramsRun(t *testing.T) {
	kerneltest.RequireRoot(t)
	group := kerneltest.Cgroup(t)
	for _, c := range []struct {
		program string
		target  string
		trigger func()
	}{
		{"skb_in", group, unconnected(t)},
		{"skb_out", group, unconnected(t)},
		{"skb_open", group, unconnected(t)},
		{"skb_open", group + ":egress", unconnected(t)},
		{"sock_create", group, unconnected(t)},
		{"sock_release", group, unconnected(t)},
		{"post_bind4", group, unconnected(t)},
		{"bind4", group, unconnected(t)},
		{"connect4", group, connection(t)},
		{"sendmsg4", group, unconnected(t)},
		{"recvmsg4", group, unconnected(t)},
		{"getpeername4", group, names(t)},
		{"getsockname4", group, names(t)},
		{"getsockopt", group, connection(t)},
		{"setsockopt", group, connection(t)},
		{"sysctl", group, readSysctl},
		{"device", group, makeDevice(t)},
		{"ops", group, connection(t)},
	} {
		t.Run(c.program+" "+c.target[len(group):], func(t *testing.T) {
			_, p := loadHook(t, "cgroup", c.program)
			target, err := ParseTarget(p.Hook(), c.target)
			if err != nil {
				t.Fatal(err)
			}
			l := mustAttach(t, p, target)
			kerneltest.InCgroup(t, group, func() { checkRuns(t, l, c.trigger) })
		})
	}
}

func TestCgroupProgramsRunWithoutLinks(t *testing.T) {
	kerneltest.RequireRoot(t)
	group := kerneltest.Cgroup(t)
	_, p := loadHook(t, "cgroup", "connect4")
	dir, err := kernel.OpenCgroup(group)
	if err != nil {
		t.Fatal(err)
	}
	l, err := attachCgroupOld(p, dir, ebpf.AttachCGroupInet4Connect)
	if err != nil {
		t.Fatal(err)
	}
	l.of(p).target = group
	kerneltest.InCgroup(t, group, func() { checkRuns(t, l, connection(t)) })
}

func TestCgroupByAbsolutePath(t *testing.T) {
	o, p := loadHook(t, "cgroup", "ops")
	root, err := kernel.Cgroup2()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if root.Mounted() == "" {
		t.Skip("cgroup v2 is not mounted")
	}
	for _, path := range []string{root.Mounted(), "."} {
		l, err := o.Attach(p, Target{Cgroup: path})
		if err != nil {
			t.Fatal(err)
		}
		checkRuns(t, l, connection(t))
	}
}

func TestCgroupsThatDoNotExist(t *testing.T) {
	o, p := loadHook(t, "cgroup", "ops")
	for _, c := range []struct{ group, want string }{
		{"", "no cgroup given"},
		{"no/such/group", "no such cgroup"},
		{"/no/such/group", "no such cgroup"},
		{"../../etc", "leads out"},
		{"/etc", "not a directory of cgroup v2"},
	} {
		_, err := o.Attach(p, Target{Cgroup: c.group})
		wantError(t, err, ErrTarget, "attach sockops", c.want)
	}
	o, p = loadHook(t, "cgroup", "skb_in")
	_, err := o.Attach(p, Target{Cgroup: ".", Direction: Egress})
	wantError(t, err, ErrTarget, "does not see egress packets")
}

package kerneltest

import (
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NS is a network namespace of a test.
type NS struct {
	file *os.File
}

// Netns makes a network namespace, with the loopback device up, and puts the test's goroutine into it until the test ends. Goroutines
// and subtests that the test starts are outside: they use [NS.Enter] or [NS.Do].
func Netns(t testing.TB) *NS {
	t.Helper()
	RequireRoot(t)
	runtime.LockOSThread()
	back := threadNetns(t)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	ns := &NS{file: threadNetns(t)}
	t.Cleanup(func() {
		if err := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Errorf("go back to the first network namespace: %v", err) // the thread stays locked and ends with the goroutine
		} else {
			runtime.UnlockOSThread()
		}
		back.Close()
		ns.file.Close()
	})
	Up(t, "lo")
	return ns
}

// Path names the namespace for this process, while the test runs.
func (n *NS) Path() string { return fdPath(int(n.file.Fd())) }

// Enter puts the calling test's goroutine into the namespace until that test ends.
func (n *NS) Enter(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	back := threadNetns(t)
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatalf("enter a network namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); err == nil {
			runtime.UnlockOSThread()
		}
		back.Close()
	})
}

// Do runs f in the namespace, on a goroutine of its own, and returns when it has ended. f must not call t.FailNow.
func (n *NS) Do(f func()) error {
	done := make(chan error)
	go func() { done <- n.do(f) }()
	return <-done
}

func (n *NS) do(f func()) error {
	runtime.LockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer back.Close()
	// Going back is better than ending the thread with the goroutine: the first thread of a process never ends.
	defer func() {
		if unix.Setns(int(back.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	f()
	return nil
}

func threadNetns(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Veth makes a pair of virtual Ethernet devices in the current network namespace and brings both up. What is sent on one is received
// on the other. IPv6 is off, so that nothing is sent but what the test sends. They go with the namespace, or with the test.
func Veth(t testing.TB, a, b string) {
	t.Helper()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: a, MTU: 1500}, PeerName: b}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("make veth %s, %s: %v", a, b, err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(pair); err != nil {
			t.Errorf("remove veth %s: %v", a, err)
		}
	})
	for _, name := range []string{a, b} {
		// A kernel without IPv6 has no such file.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
		Up(t, name)
	}
}

// Up brings a device up.
func Up(t testing.TB, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("find %s: %v", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatalf("bring %s up: %v", name, err)
	}
}

// Address gives a device an address such as "10.0.0.1/24".
func Address(t testing.TB, name, cidr string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("find %s: %v", name, err)
	}
	addr, err := netlink.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(l, addr); err != nil {
		t.Fatalf("give %s the address %s: %v", name, cidr, err)
	}
}

// SendFrame sends an Ethernet frame, header included, out of a device of the current network namespace.
func SendFrame(t testing.TB, device string, frame []byte) {
	t.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		t.Fatalf("find %s: %v", device, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open a packet socket: %v", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index}); err != nil {
		t.Fatalf("send a frame on %s: %v", device, err)
	}
}

package examples_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// ip4 is an Ethernet frame of 42 bytes with an IPv4 packet.
func ip4(protocol byte) []byte {
	ip := make([]byte, 28)
	ip[0], ip[8], ip[9] = 0x45, 64, protocol
	return frame(0x0800, ip)
}

// ip6 is an Ethernet frame with an IPv6 packet, whose extension headers are given.
func ip6(next byte, extensions ...byte) []byte {
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 0x60, next, 64
	return frame(0x86dd, slices.Concat(ip, extensions, make([]byte, 16)))
}

// frame is an Ethernet frame for everybody, from nobody.
func frame(ethertype uint16, payload []byte) []byte {
	f := bytes.Repeat([]byte{0xff}, 6)
	f = append(f, 2, 0, 0, 0, 0, 1)
	return append(binary.BigEndian.AppendUint16(f, ethertype), payload...)
}

// tagged is a frame with a VLAN tag added.
func tagged(ethertype uint16, f []byte) []byte {
	tag := binary.BigEndian.AppendUint16(nil, ethertype)
	return slices.Concat(f[:12], append(tag, 0, 5), f[12:])
}

// setupXDPCount sends frames of every kind to an interface: also with one and two
// VLAN tags, behind IPv6 extension headers, and cut off within a header.
func setupXDPCount(t *testing.T) row {
	ns := kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	hop := []byte{unix.IPPROTO_FRAGMENT, 0, 0, 0, 0, 0, 0, 0}
	fragment := []byte{unix.IPPROTO_UDP, 99, 0, 0, 0, 0, 0, 0}
	frames := [][]byte{
		ip4(unix.IPPROTO_TCP), tagged(0x8100, ip4(unix.IPPROTO_TCP)),
		frame(0x0800, append(ip4(unix.IPPROTO_TCP)[14:], make([]byte, 36)...)),
		ip4(unix.IPPROTO_UDP), ip4(unix.IPPROTO_ICMP), ip4(unix.IPPROTO_GRE),
		ip6(unix.IPPROTO_TCP), tagged(0x88a8, tagged(0x8100, ip6(unix.IPPROTO_TCP))),
		ip6(unix.IPPROTO_HOPOPTS, slices.Concat(hop, fragment)...), ip6(unix.IPPROTO_ICMPV6), ip6(unix.IPPROTO_NONE),
		frame(0x86dd, []byte{0x60}), frame(0x0806, make([]byte, 28)), frame(0x88b5, make([]byte, 46)),
	}
	return row{args: []string{"--interval", "1", "va"}, netns: ns, cause: func() {
		for _, f := range frames {
			kerneltest.SendFrame(t, "vb", f)
		}
	}}
}

// setupTCPOpt makes one connection in a cgroup, and looks at both ends of it, and
// one to a machine that is not there, to see how long TCP waits for the answer.
func setupTCPOpt(t *testing.T) row {
	kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	kerneltest.Address(t, "va", "10.0.0.1/24")
	group := kerneltest.Cgroup(t)
	vars := map[string]string{}
	return row{
		args: []string{"--window", "40", "--rto", "400", "--congestion", "reno", group},
		vars: vars,
		cause: func() {
			kerneltest.InCgroup(t, group, func() {
				checkTimeout(t)
				connect(t, vars)
			})
		},
	}
}

// connect makes a connection over loopback, sends 1000 bytes and closes it, the
// client first.
func connect(t *testing.T, vars map[string]string) {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.DialTCP("tcp4", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	vars["client4"], vars["server4"] = client.LocalAddr().String(), l.Addr().String()
	for _, c := range []*net.TCPConn{client, server} {
		checkTCP(t, c)
	}
	if _, err := client.Write(make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	client.Close()
	if n, err := io.Copy(io.Discard, server); n != 1000 || err != nil {
		t.Errorf("got %d bytes, %v, want 1000", n, err)
	}
}

// checkTimeout checks that a first packet without an answer would be sent again
// after 400 ms, instead of a second.
func checkTimeout(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{10, 0, 0, 2}, Port: 9}); err != unix.EINPROGRESS {
		t.Fatalf("connect: %v", err)
	}
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel rounds to its clock tick, of at most 10 ms.
	if info.Rto < 400_000 || info.Rto > 411_000 {
		t.Errorf("got a time-out of %d us, want 400 ms", info.Rto)
	}
}

// checkTCP checks that the kernel really has what the plugin says it has set.
func checkTCP(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	var congestion string
	var infoErr, congestionErr error
	err = raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		congestion, congestionErr = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
	if err != nil || infoErr != nil || congestionErr != nil {
		t.Fatal(err, infoErr, congestionErr)
	}
	if info.Snd_cwnd != 40 || congestion != "reno" {
		t.Errorf("got window %d and congestion control %q, want 40 and reno", info.Snd_cwnd, congestion)
	}
}

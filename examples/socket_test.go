package examples_test

import (
	"net"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// setupTCX sends frames to and from an interface, which the plugin knows as "uplink".
func setupTCX(t *testing.T) row {
	ns := kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	in := [][]byte{
		ip4(unix.IPPROTO_TCP), ip4(unix.IPPROTO_TCP), ip4(unix.IPPROTO_TCP), ip4(unix.IPPROTO_GRE), frame(0x88b5, make([]byte, 46)),
	}
	return row{netns: ns, names: map[string]string{"uplink": "va"}, cause: func() {
		for _, f := range in {
			kerneltest.SendFrame(t, "vb", f)
		}
		kerneltest.SendFrame(t, "va", ip6(unix.IPPROTO_UDP))
		kerneltest.SendFrame(t, "va", frame(0x0806, make([]byte, 28)))
	}}
}

// setupConnect asks for four connections in a cgroup, of which two are refused.
func setupConnect(t *testing.T) row {
	kerneltest.Netns(t)
	group := kerneltest.Cgroup(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server := l.Addr().(*net.TCPAddr)
	return row{
		args: []string{"--refuse", "127.9.0.0/16", "--refuse", "2001:db8::/32", group},
		vars: map[string]string{"pid": strconv.Itoa(os.Getpid()), "server": server.String()},
		cause: func() {
			loopback := [4]byte{127, 0, 0, 1}
			kerneltest.InCgroup(t, group, func() {
				connectTo(t, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: loopback, Port: server.Port}, nil)
				connectTo(t, unix.SOCK_DGRAM, &unix.SockaddrInet4{Addr: loopback, Port: 9}, nil)
				connectTo(t, unix.SOCK_STREAM, &unix.SockaddrInet4{Addr: [4]byte{127, 9, 0, 1}, Port: 80}, unix.EPERM)
				documentation := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
				connectTo(t, unix.SOCK_DGRAM, &unix.SockaddrInet6{Addr: documentation, Port: 53}, unix.EPERM)
			})
		},
	}
}

// connectTo connects a new socket and expects an error or success.
func connectTo(t *testing.T, kind int, to unix.Sockaddr, want error) {
	t.Helper()
	family := unix.AF_INET
	if _, ok := to.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, to); err != want {
		t.Errorf("connect to %+v: got %v, want %v", to, err, want)
	}
}

// setupPortSteer connects to two ports where nobody listens: both connections come to the socket of the test.
func setupPortSteer(t *testing.T) row {
	ns := kerneltest.Netns(t)
	// Multipath TCP, which Go would take for a listener, is not for socket maps.
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listener.(*net.TCPListener)
	t.Cleanup(func() { l.Close() })
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if err := raw.Control(func(f uintptr) { fd = int(f) }); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	return row{
		args:  []string{"--netns", ns.Path(), "47000-47010", strconv.Itoa(os.Getpid()), strconv.Itoa(fd)},
		netns: ns, vars: vars,
		cause: func() {
			vars["client1"], vars["client2"] = steered(t, l, 47000), steered(t, l, 47010)
			if c, err := net.Dial("tcp4", "127.0.0.1:47011"); err == nil {
				c.Close()
				t.Error("a port outside of the range is steered, too")
			}
		},
	}
}

// steered connects to a port, and accepts that connection from a socket that listens on another one. It answers the client's address.
func steered(t *testing.T, l *net.TCPListener, port int) string {
	t.Helper()
	client, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if got := server.LocalAddr().(*net.TCPAddr).Port; got != port {
		t.Errorf("the accepted connection is to port %d, want %d", got, port)
	}
	return client.LocalAddr().String()
}

// setupFilter drops frames that a generated program matches: first those of an expression with every word.
func setupFilter(t *testing.T) row {
	ns := kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	from10 := ip4(unix.IPPROTO_UDP)
	copy(from10[26:], []byte{10, 0, 0, 1})
	frames := [][]byte{
		withPorts(ip4(unix.IPPROTO_UDP), 34, 53, 9),                                              // counts
		withPorts(ip4(unix.IPPROTO_TCP), 34, 9, 22), withPorts(ip4(unix.IPPROTO_TCP), 34, 9, 80), // the second counts
		withPorts(ip6(unix.IPPROTO_UDP), 54, 9, 53), // counts
		withPorts(from10, 34, 53, 9), ip4(unix.IPPROTO_ICMP), ip4(unix.IPPROTO_GRE),
		frame(0x0806, make([]byte, 28)), // counts
	}
	const expression = "arp or (udp and port 53 or tcp and not port 22) and not (icmp or host 10.0.0.1)"
	return row{args: []string{"--drop", "va", expression}, netns: ns, cause: func() {
		for _, f := range frames {
			kerneltest.SendFrame(t, "vb", f)
		}
	}}
}

// withPorts is a frame with two ports put in at a place.
func withPorts(f []byte, at int, from, to byte) []byte {
	f = slices.Clone(f)
	copy(f[at:], []byte{0, from, 0, to})
	return f
}

// setupFilterPacket matches one packet without attaching anything.
func setupFilterPacket(*testing.T) row {
	const packet = "ffffffffffff0200000000010800" + "4500001c0000000040110000c0a80001c0a80002" + "0035003500080000"
	return row{
		args:   []string{"--packet", packet, "not", "tcp", "and", "(port", "53)"},
		golden: `must match, \d+ ns`, ends: true,
	}
}

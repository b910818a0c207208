package bpf

import (
	"net"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// tcpPair is a connection to ourselves, both ends.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
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
	t.Cleanup(func() { client.Close() })
	peer, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return client.(*net.TCPConn), peer.(*net.TCPConn)
}

// put makes a socket the only one of the object's sockmap.
func put(t *testing.T, o *Object, c *net.TCPConn) {
	t.Helper()
	m, err := o.Map("socks")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err2 := raw.Control(func(fd uintptr) {
		err = m.Kernel().Put(uint32(0), uint32(fd))
	})
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
}

func TestSockmapProgramsRun(t *testing.T) {
	for _, c := range []struct {
		program string
		sending bool // which end of the connection is in the map
	}{{"message", true}, {"verdict", false}} {
		for _, mode := range []string{"", "attach"} {
			t.Run(c.program+" "+mode, func(t *testing.T) {
				o, p := loadHook(t, "sockmap", c.program)
				kerneltest.CoversProgram(t, p.Type())
				var l *Link
				if mode == "" {
					l = mustAttach(t, p, Target{MapName: "socks"})
				} else {
					m, err := o.Map("socks")
					if err != nil {
						t.Fatal(err)
					}
					l, err = attachSockmapOld(p, m, p.spec.AttachType)
					kerneltest.SkipIfUnsupported(t, err)
					if err != nil {
						t.Fatal(err)
					}
					l.of(p)
				}
				from, to := tcpPair(t)
				member := to
				if c.sending {
					member = from
				}
				put(t, o, member)
				before := hits(t, o)
				if _, err := from.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, err := to.Read(make([]byte, 16)); err != nil {
					t.Fatal(err)
				}
				if !waitFor(func() bool { return hits(t, o) > before }) {
					t.Errorf("%s: the program did not run", l)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				// A socket keeps the programs that it met in the map, so ask a new one.
				from, to = tcpPair(t)
				member = to
				if c.sending {
					member = from
				}
				put(t, o, member)
				before = hits(t, o)
				if _, err := from.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, err := to.Read(make([]byte, 16)); err != nil {
					t.Fatal(err)
				}
				if got := hits(t, o); got != before {
					t.Errorf("%s: the program ran after Close", l)
				}
			})
		}
	}
}

func TestSockmapIsFoundWithoutAName(t *testing.T) {
	_, p := loadHook(t, "sockmap", "parser")
	kerneltest.CoversProgram(t, p.Type())
	l := mustAttach(t, p, Target{})
	if l.Target() != "socks" {
		t.Errorf("got map %q, want socks", l.Target())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestSockmapTargetsThatDoNotFit(t *testing.T) {
	o, p := loadHook(t, "sockmap", "message")
	_, err := o.Attach(p, Target{MapName: "hits"})
	wantError(t, err, ErrTarget, "attach sk_msg to hits", "not a sockmap or sockhash")
	_, err = o.Attach(p, Target{MapName: "nosuch"})
	wantError(t, err, ErrNotFound, "socks")
	o, p = loadHook(t, "sockmap", "unknown")
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrType, "sk_skb/stream_parser")
}

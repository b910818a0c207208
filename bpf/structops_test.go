package bpf

import (
	"bytes"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestStructOpsRuns(t *testing.T) {
	kerneltest.Netns(t)
	b, err := os.ReadFile("testdata/hooks_structops.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Load(LoadOptions{})
	kerneltest.CoversMap(t, ebpf.StructOpsMap)
	if err != nil {
		kerneltest.CoversProgram(t, ebpf.StructOps)
	}
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p, err := o.Program("cong_avoid")
	if err != nil {
		t.Fatal(err)
	}
	l := mustAttach(t, p, Target{})
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrBusy, "attach struct_ops", "bowline_test")
	checkRuns(t, l, func() {
		from, to := tcpPair(t)
		raw, err := from.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			// It fails after Close: then the kernel does not know it any more.
			_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bowline_test")
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := from.Write(make([]byte, 1<<16)); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < 1<<16; {
			n, err := to.Read(make([]byte, 1<<16))
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		from.Close()
		to.Close()
	})
}

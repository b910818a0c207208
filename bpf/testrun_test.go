package bpf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// onPacket is an xdp program that changes the first byte of the packet to 0xaa and returns 7.
func onPacket(t testing.TB) *Program {
	t.Helper()
	kerneltest.RequireRoot(t)
	return generated(t, ProgramOptions{Name: "edit", Section: "xdp", License: "GPL", Insns: code(t,
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word), // data_end
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), // data
		asm.Mov.Reg(asm.R3, asm.R1), asm.Add.Imm(asm.R3, 1),
		asm.Instruction{OpCode: asm.JGT.Op(asm.RegSource), Dst: asm.R3, Src: asm.R2, Offset: 1},
		asm.StoreImm(asm.R1, 0, 0xaa, asm.Byte),
		asm.Mov.Imm(asm.R0, 7), asm.Return())})
}

func TestTestRunGivesPacketsBack(t *testing.T) {
	p := onPacket(t)
	in := bytes.Repeat([]byte{1}, 64)
	r := TestRun{Data: in, DataOut: make([]byte, 100), Repeat: 3}
	if err := p.TestRun(context.Background(), &r); err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(in)
	want[0] = 0xaa
	if r.Return != 7 || r.DataSize != 64 || !bytes.Equal(r.DataOut[:64], want) || !bytes.Equal(r.DataOut[64:], make([]byte, 36)) || in[0] != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestTestRunSaysHowMuchRoomIsNeeded(t *testing.T) {
	p := onPacket(t)
	room := bytes.Repeat([]byte{9}, 32)
	r := TestRun{Data: make([]byte, 64), DataOut: room[:16]}
	err := p.TestRun(context.Background(), &r)
	wantError(t, err, ErrSize, "64 bytes of data")
	if !errors.Is(err, unix.ENOSPC) || r.DataSize != 64 || r.Return != 7 || room[0] != 0xaa || room[16] != 9 {
		t.Errorf("got %v, %+v, %v", err, r, room)
	}
	r = TestRun{Data: make([]byte, 64)} // no room, nothing wanted
	if err := p.TestRun(context.Background(), &r); err != nil || r.DataSize != 64 {
		t.Errorf("got %v, %+v", err, r)
	}
}

func TestTestRunOfASyscallProgramGivesItsContextBack(t *testing.T) {
	kerneltest.RequireRoot(t)
	if !kernel.Running().AtLeast(5, 14) {
		t.Skip("Linux 5.14")
	}
	p, err := LoadProgram(ProgramOptions{Name: "double", Section: "syscall", License: "GPL", Insns: code(t,
		asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord), asm.Add.Reg(asm.R2, asm.R2), asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 3), asm.Return())})
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	defer p.Close()
	in := binary.NativeEndian.AppendUint64(nil, 21)
	r := TestRun{Context: in, ContextOut: make([]byte, 8)}
	if err := p.TestRun(context.Background(), &r); err != nil {
		t.Fatal(err)
	}
	if got := binary.NativeEndian.Uint64(r.ContextOut); got != 42 || r.Return != 3 || binary.NativeEndian.Uint64(in) != 21 || r.ContextSize != 8 {
		t.Errorf("got %d, %+v, in %v", got, r, in)
	}
	r = TestRun{Context: in, ContextOut: make([]byte, 4)}
	wantError(t, p.TestRun(context.Background(), &r), ErrSize, "8 of context")
}

// A run that would take hours ends soon after its context, and not before.
func TestLongTestRunsEndWithTheirContext(t *testing.T) {
	p := onPacket(t)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error)
	go func() { done <- p.TestRun(ctx, &TestRun{Data: make([]byte, 64), Repeat: math.MaxUint32}) }()
	waitInside(t, p)
	start := time.Now()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("took %v to end", took)
	}
	if err := p.TestRun(ctx, &TestRun{Data: make([]byte, 64)}); !errors.Is(err, why) {
		t.Errorf("a context that is done: got %v", err)
	}
}

// waitInside waits until an operation on a program has begun.
func waitInside(t *testing.T, p *Program) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); p.use.state.Load()&^useClosed == 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it does not begin")
		}
	}
}

func TestClosingWaitsForTheTestRun(t *testing.T) {
	kerneltest.RequireRoot(t)
	p, err := LoadProgram(ProgramOptions{Section: "xdp", License: "GPL", Insns: code(t, ret(1)...)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.TestRun(ctx, &TestRun{Data: make([]byte, 64), Repeat: math.MaxUint32}) }()
	waitInside(t, p)
	if err := p.Close(); err != nil || p.FD() != -1 {
		t.Errorf("got %v, %d", err, p.FD())
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestTestRunRefusesWhatDoesNotFit(t *testing.T) {
	p := onPacket(t)
	cases := map[string]TestRun{
		"too short a packet": {Data: make([]byte, 3)}, "unknown flags": {Data: make([]byte, 64), Flags: 1 << 30},
		"a context that is none": {Data: make([]byte, 64), Context: bytes.Repeat([]byte{1}, 1024)},
	}
	if !kernel.Running().AtLeast(5, 15) {
		cases = nil // older kernels do not look
	}
	for name, r := range cases {
		if err := p.TestRun(context.Background(), &r); !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.E2BIG) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	err := verdict(t, "perf_event", 0).TestRun(context.Background(), &TestRun{Data: make([]byte, 64)})
	wantError(t, err, ErrUnsupported, "PerfEvent")
}

func TestLiveFramesAreSent(t *testing.T) {
	if !kernel.Running().AtLeast(5, 18) {
		t.Skip("Linux 5.18")
	}
	pair(t)
	o, sink := loadHook(t, "net", "xdp_pass")
	mustAttach(t, sink, Target{Interface: "vb", Mode: XDPNative})
	p := verdict(t, "xdp", 3) // XDP_TX: back out of the interface that the frame came in
	index, err := interfaceIndex("va", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx := make([]byte, 24) // struct xdp_md: data, data_end, data_meta, ingress_ifindex, ...
	binary.NativeEndian.PutUint32(ctx[4:], uint32(len(frame)))
	binary.NativeEndian.PutUint32(ctx[12:], uint32(index))
	const n = 1000
	r := TestRun{Data: frame, Context: ctx, LiveFrames: true, Repeat: n, Batch: 32}
	if err := p.TestRun(context.Background(), &r); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); hits(t, o) < n && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if got := hits(t, o); got < n {
		t.Errorf("%d of %d frames came out at the other end", got, n)
	}
}

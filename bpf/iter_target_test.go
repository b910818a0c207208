package bpf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// dots is an iterator that writes a dot for each element: a program is given the element where it is, and null at the end.
func dots(t *testing.T, kind string) *Program {
	t.Helper()
	kerneltest.RequireRoot(t)
	p, err := LoadProgram(ProgramOptions{Name: "dots", Section: "iter/" + kind, License: "GPL", Insns: code(t,
		asm.LoadMem(asm.R2, asm.R1, 8, asm.DWord), // the element
		asm.Instruction{OpCode: asm.JEq.Op(asm.ImmSource), Dst: asm.R2, Offset: 7},
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord), // meta
		asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord), // seq
		asm.StoreImm(asm.R10, -8, '.', asm.Byte),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -8), asm.Mov.Imm(asm.R3, 1),
		asm.FnSeqWrite.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return())})
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func attachOwn(t *testing.T, p *Program, target Target) *Link {
	t.Helper()
	l, err := p.Attach(target)
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestIteratorOverOneProcess(t *testing.T) {
	p := dots(t, "task")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	all := len(readIter(t, attachOwn(t, p, Target{})))
	if !kernel.Running().AtLeast(6, 1) {
		_, err := p.Attach(Target{PID: os.Getpid()})
		wantError(t, err, ErrUnsupported, "Linux 6.1")
		return
	}
	mine := attachOwn(t, p, Target{PID: os.Getpid()})
	if got := len(readIter(t, mine)); got < len(entries) || got >= all {
		t.Errorf("got %d threads of this process and %d of all, want at least %d", got, all, len(entries))
	}
	if got := readIter(t, attachOwn(t, p, Target{TID: os.Getpid()})); got != "." {
		t.Errorf("got %q, want one dot for one thread", got)
	}
	info, err := mine.Info()
	if err != nil || info.Kind != LinkIter || info.Name != "task" || info.PID != uint32(os.Getpid()) {
		t.Errorf("got %+v, %v", info, err)
	}
	_, err = p.Attach(Target{PID: 1 << 29})
	wantError(t, err, ErrTarget, "no process")
	_, err = p.Attach(Target{PID: 1, TID: 1})
	wantError(t, err, ErrTarget, "want one")
}

func TestIteratorOverCgroups(t *testing.T) {
	if !kernel.Running().AtLeast(6, 1) {
		t.Skip("Linux 6.1")
	}
	p := dots(t, "cgroup")
	name := kerneltest.Cgroup(t)
	for order, want := range map[CgroupOrder]string{CgroupSelf: ".", CgroupDescendants: ".", CgroupDescendantsPost: ".", CgroupAncestors: ".."} {
		l := attachOwn(t, p, Target{Cgroup: name, Order: order})
		if got := readIter(t, l); got != want {
			t.Errorf("order %q: got %q, want %q", order, got, want)
		}
		id, err := kernel.CgroupID(name)
		if info, infoErr := l.Info(); err != nil || infoErr != nil || info.Cgroup != id {
			t.Errorf("got %+v, %v, want cgroup %d, %v", info, infoErr, id, err)
		}
	}
	if got := readIter(t, attachOwn(t, p, Target{Cgroup: "."})); len(got) < 2 {
		t.Errorf("got %q for all cgroups", got)
	}
	_, err := p.Attach(Target{Cgroup: name, Order: "sideways"})
	wantError(t, err, ErrTarget, "no order")
	_, err = p.Attach(Target{Cgroup: "no-such-group"})
	wantError(t, err, os.ErrNotExist)
}

func TestIteratorReadsEndWithTheirContext(t *testing.T) {
	l := attachOwn(t, dots(t, "task"), Target{})
	opened, err := l.OpenIter()
	if err != nil {
		t.Fatal(err)
	}
	r := opened.(*IterReader)
	ctx, cancel := context.WithCancelCause(context.Background())
	b := make([]byte, 1)
	if n, err := r.ReadContext(ctx, b); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	why := errors.New("enough")
	cancel(why)
	if _, err := r.ReadContext(ctx, b); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || strings.Trim(string(rest), ".") != "" || !bytes.HasPrefix(rest, []byte(".")) {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Read(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

package bpf

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// Everything may be used while it is being closed: each call does its work or says that it is closed, and no call meets a descriptor
// that has become something else.
func TestClosingWhileInUse(t *testing.T) {
	kerneltest.RequireRoot(t)
	for range 20 {
		o, err := open(t, "plain").Load(LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		inObject := getProgram(t, o, "exit_raw")
		own, err := LoadProgram(ProgramOptions{Name: "own", Section: "raw_tracepoint/sched_process_exec", License: "GPL", Insns: code(t, ret(0)...)})
		if err != nil {
			t.Fatal(err)
		}
		packet, err := LoadProgram(ProgramOptions{Name: "packet", Section: "xdp", License: "GPL", Insns: code(t, ret(2)...)})
		if err != nil {
			t.Fatal(err)
		}
		l, err := own.Attach(Target{})
		if err != nil {
			t.Fatal(err)
		}
		uses := []func() error{
			func() error { _, err := inObject.Info(); return err },
			func() error { _, err := own.Info(); return err },
			func() error { _, err := l.Info(); return err },
			func() error {
				return packet.TestRun(context.Background(), &TestRun{Data: make([]byte, 64), Repeat: 10})
			},
			func() error { return attachAndClose(inObject) },
			func() error { return attachAndClose(own) },
			func() error { return ignore(l.Update(own), ErrUnsupported) },
			func() error { return ignore(l.Detach(), ErrUnsupported) },
			func() error {
				for _, v := range o.Variables() {
					found, err := o.Variable(v.Name)
					if err == nil {
						err = found.Get(make([]byte, v.Size))
					}
					if err != nil {
						return err
					}
				}
				return nil
			},
		}
		var g sync.WaitGroup
		for _, use := range uses {
			g.Go(func() {
				for range 20 {
					if err := use(); err != nil {
						// Old kernels take a program at a tracepoint once at a time.
						if !errors.Is(err, os.ErrClosed) && !errors.Is(err, os.ErrExist) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		for _, c := range []func() error{o.Close, own.Close, packet.Close, l.Close} {
			g.Go(func() {
				if err := c(); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
	}
}

func attachAndClose(p *Program) error {
	l, err := p.Attach(Target{})
	if err != nil {
		return err
	}
	return l.Close()
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

func TestThingsOfOtherKindsAreRefused(t *testing.T) {
	kerneltest.RequireRoot(t)
	p := verdict(t, "sk_msg", 1)
	o := load(t, "maps", LoadOptions{})
	_, err := p.Attach(Target{MapName: "hash"})
	wantError(t, err, ErrNotFound, "the program has no object")
	_, err = p.Attach(Target{})
	wantError(t, err, ErrTarget, "no map given")
	_, err = p.Attach(Target{Map: getMap(t, o, "hash")})
	wantError(t, err, ErrType, "hash")
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = p.Attach(Target{Map: o.maps[0]})
	wantError(t, err, os.ErrClosed)
	var none *Program
	_, err = none.Attach(Target{})
	wantError(t, err, os.ErrClosed)
	_, err = none.Info()
	wantError(t, err, os.ErrClosed)
	wantError(t, none.TestRun(context.Background(), &TestRun{}), os.ErrClosed)
	target := verdict(t, "xdp", 2)
	for _, section := range []string{"xdp", "tp_btf/sched_switch", "iter/task"} {
		_, err = LoadProgram(ProgramOptions{Section: section, License: "GPL", Insns: code(t, ret(0)...), Target: target})
		wantError(t, err, ErrType, "attaches to no other program")
	}
	_, err = LoadProgram(ProgramOptions{Section: "freplace/f", License: "GPL", Insns: code(t, ret(0)...), Target: target})
	wantError(t, err, ErrTarget, "function f of program verdict")
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = LoadProgram(ProgramOptions{Section: "freplace/f", License: "GPL", Insns: code(t, ret(0)...), Target: target})
	wantError(t, err, os.ErrClosed)
}

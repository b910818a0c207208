package bpf

import (
	"context"
	"errors"
	"testing"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestFreplaceNeedsATarget(t *testing.T) {
	_, _, err := tryLoadHook(t, "trampoline", "replacement")
	wantError(t, err, nil, "replacement")
	if kernel.Trampolines() != nil {
		t.Log("trampolines are refused here, so nothing can be replaced")
	}
}

// A program takes the place of another's function: told before it is loaded, or when it is attached.
func TestFunctionsOfProgramsAreReplaced(t *testing.T) {
	_, target := loadHook(t, "net", "xdp_pass")
	s := open(t, "hooks_trampoline")
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Name == "replacement"); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.SetAttachTo("replacement", "xdp_pass"), s.SetTargetProgram("replacement", target)); err != nil {
		t.Fatal(err)
	}
	o, err := s.Load(LoadOptions{})
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	defer o.Close()
	p := getProgram(t, o, "replacement")
	run := func() (own, other uint64) {
		t.Helper()
		ownBefore, otherBefore := hits(t, target.Object()), hits(t, o)
		if err := target.TestRun(context.Background(), &TestRun{Data: make([]byte, 64)}); err != nil {
			t.Fatal(err)
		}
		return hits(t, target.Object()) - ownBefore, hits(t, o) - otherBefore
	}
	for _, where := range []Target{{}, {Program: target}} {
		if own, other := run(); own != 1 || other != 0 {
			t.Errorf("before: the program ran %d times, the other %d times", own, other)
		}
		l, err := o.Attach(p, where)
		if err != nil {
			t.Fatal(err)
		}
		if own, other := run(); own != 0 || other != 1 {
			t.Errorf("attached: the program ran %d times, the other %d times", own, other)
		}
		if info, err := l.Info(); err != nil || info.Kind != LinkTracing {
			t.Errorf("got %+v, %v", info, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if own, other := run(); own != 1 || other != 0 {
		t.Errorf("afterwards: the program ran %d times, the other %d times", own, other)
	}
}

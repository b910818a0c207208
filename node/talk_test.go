package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
)

func TestRepeatedLinesAreFolded(t *testing.T) {
	var out bytes.Buffer
	talk := newTalk(&out, "p", false)
	for range 1000 {
		talk.line("the same")
	}
	talk.line("another")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 12 || lines[9] != "bowline: p: the same (512 times)" || lines[10] != "bowline: p: the same (1000 times)" ||
		lines[11] != "bowline: p: another" {
		t.Errorf("got %d lines:\n%s", len(lines), out.String())
	}
}

func TestEveryLineIsWrittenOrCounted(t *testing.T) {
	var out bytes.Buffer
	talk := newTalk(&out, "p", false)
	for i := range maxLines + 70 {
		talk.line(fmt.Sprint("line ", i))
	}
	talk.end()
	talk.end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != maxLines+1 || lines[maxLines] != "bowline: p: 70 more lines" {
		t.Errorf("got %d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

// A denial makes several steps fail, one inside the other.
func TestAFailureIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	talk := newTalk(&out, "p", true)
	denied := errors.New("attach xdp to a: not granted")
	talk.note("attach xdp to a", denied)
	talk.note("attach count", denied)
	talk.note("link_attach", denied)
	talk.note("load BPF object", nil)
	talk.note("attach count", denied)
	want := "bowline: p: attach xdp to a: not granted\nbowline: p: load BPF object: done\nbowline: p: attach count: attach xdp to a: not granted\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestARefusalCountsUntilTheStepGoesWell(t *testing.T) {
	missing := &bpf.UnsupportedError{Feature: "fentry", Cause: unix.EPERM}
	talk := newTalk(nil, "p", false)
	talk.report("attach a", errors.New("something else"))
	if err := talk.refused(); err != nil {
		t.Errorf("an ordinary error is a refusal: %v", err)
	}
	talk.report("load", fmt.Errorf("wrapped: %w", missing))
	if err := talk.refused(); !errors.Is(err, bpf.ErrUnsupported) || exitCode(err) != ExitUnsupported {
		t.Errorf("refused = %v with code %d, want code %d", err, exitCode(err), ExitUnsupported)
	}
	talk.report("attach kprobe", missing)
	talk.report("attach tracepoint", nil) // a fall-back of the same kind
	talk.report("load", nil)
	if err := talk.refused(); err != nil {
		t.Errorf("still refused after the step went well: %v", err)
	}
}

func TestAGuestCannotMakeTheHostRememberWithoutEnd(t *testing.T) {
	talk := newTalk(nil, "p", false)
	for i := range 10_000 {
		talk.report(fmt.Sprint("attach ", i), bpf.ErrPermission)
	}
	if len(talk.order) > maxSteps || len(talk.failed) > maxSteps {
		t.Errorf("%d steps remembered, want at most %d", len(talk.order), maxSteps)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, ExitOK}, {errors.New("x"), ExitFailure}, {os.ErrPermission, ExitDenied},
		{&bpf.PermissionError{What: "load"}, ExitDenied}, {&bpf.UnsupportedError{Feature: "x"}, ExitUnsupported},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("exitCode(%v) = %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestAPluginCannotForgeLinesOrFlood(t *testing.T) {
	var out bytes.Buffer
	talk := newTalk(&out, "p\x1b[2J", false)
	talk.report("attach no\x1b[31m\nbowline: fake\r\a\u009b", errors.New("x\ny\u202e"))
	if got := strings.TrimSuffix(out.String(), "\n"); strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
		t.Errorf("got %q", got)
	}
	for i := range 10_000 {
		talk.line(fmt.Sprint("line ", i))
	}
	if n := strings.Count(out.String(), "\n"); n > 3*maxLines {
		t.Errorf("%d lines written in a moment", n)
	}
}

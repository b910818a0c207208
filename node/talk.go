package node

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
)

// talk writes the host's lines about one plugin, and remembers the last step
// that was refused and not made good since.
type talk struct {
	w       io.Writer
	name    string
	verbose bool
	gaveUp  bool // privileges that the process had; set before the plugin runs

	// mu guards the fields that follow.
	mu       sync.Mutex
	failed   map[string]error // by step, without those that went well later
	order    []string
	last     string // the last line, to fold repetitions
	repeated int
	said     string // the text of the last failure that was written, and saidBy its step
	saidBy   string
	second   time.Time // when the count of lines began
	lines    int
	dropped  int
}

func newTalk(w io.Writer, name string, verbose bool) *talk {
	if w == nil {
		w = io.Discard
	}
	return &talk{w: w, name: name, verbose: verbose, failed: map[string]error{}}
}

// maxSteps bounds what a guest can make the host remember.
const maxSteps = 64

// maxLines is how many lines about a plugin are written in a second; the others are
// counted.
const maxLines = 50

// maxLine is the longest line about a plugin, in bytes.
const maxLine = 2000

// line writes one line. A line that repeats itself is written at powers of two,
// with its count, so that a guest in a loop does not flood the log; nor do lines
// that differ. What would steer a terminal is replaced: a plugin chooses part of
// the text.
func (t *talk) line(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(text)
}

func (t *talk) write(text string) {
	if text != t.last {
		t.unfold()
		t.last, t.repeated = text, 0
	}
	t.repeated++
	switch {
	case t.repeated == 1:
	case t.repeated&(t.repeated-1) == 0:
		text = fmt.Sprintf("%s (%d times)", text, t.repeated)
	default:
		return
	}
	t.put(text)
}

// unfold tells how often the last line came, if the lines so far do not say it.
func (t *talk) unfold() {
	if t.repeated&(t.repeated-1) != 0 {
		t.put(fmt.Sprintf("%s (%d times)", t.last, t.repeated))
	}
}

// end tells what is left to tell of lines that were folded or dropped.
func (t *talk) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unfold()
	t.last, t.repeated = "", 0
	t.more()
}

// more tells how many lines were dropped.
func (t *talk) more() {
	if t.dropped > 0 {
		fmt.Fprintf(t.w, "bowline: %s: %d more lines\n", Printable(t.name), t.dropped)
	}
	t.dropped = 0
}

func (t *talk) put(text string) {
	if now := time.Now(); now.Sub(t.second) >= time.Second {
		t.more()
		t.second, t.lines = now, 0
	}
	if t.lines++; t.lines > maxLines {
		t.dropped++
		return
	}
	if len(text) > maxLine {
		text = text[:maxLine] + "..."
	}
	fmt.Fprintf(t.w, "bowline: %s: %s\n", Printable(t.name), Printable(text))
}

// Printable makes one line of a text and replaces what would steer a terminal:
// control characters, and those that turn the direction of writing.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ' '
		}
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

// detail writes a line that only --verbose shows.
func (t *talk) detail(format string, args ...any) {
	if t.verbose {
		t.line(fmt.Sprintf(format, args...))
	}
}

// report takes the outcome of a step for [engine.Env], and tells a failure.
func (t *talk) report(step string, err error) { t.outcome(step, err, true) }

// note takes the outcome of a step whose text the plugin gets itself.
func (t *talk) note(step string, err error) { t.outcome(step, err, t.verbose) }

func (t *talk) outcome(step string, err error, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		kind, _, _ := strings.Cut(step, " ")
		maps.DeleteFunc(t.failed, func(s string, _ error) bool { return strings.HasPrefix(s, kind) })
		t.said = ""
		if t.verbose {
			t.write(step + ": done")
		}
		return
	}
	if !slices.Contains(t.order, step) && len(t.order) < maxSteps {
		t.order = append(t.order, step)
	}
	if slices.Contains(t.order, step) {
		t.failed[step] = err
	}
	text := err.Error()
	if !tell || text == t.said && step != t.saidBy { // one failure is told once, not for each step around it that fails with it
		return
	}
	t.said, t.saidBy = text, step
	if !strings.HasPrefix(text, step+": ") {
		text = step + ": " + text
	}
	t.write(text)
	var v *bpf.VerifierError
	if t.verbose && errors.As(err, &v) {
		for _, l := range v.Log {
			fmt.Fprintf(t.w, "  %s\n", Printable(l))
		}
	}
}

// refused answers the first step that failed for lack of a privilege or a
// kernel feature, or at a limit, and did not go well later, nil if there is none.
func (t *talk) refused() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, step := range t.order {
		err := t.failed[step]
		if errors.Is(err, policy.ErrDenied) || errors.Is(err, bpf.ErrPermission) || errors.Is(err, bpf.ErrUnsupported) ||
			errors.Is(err, session.ErrLimit) {
			return err
		}
	}
	return nil
}

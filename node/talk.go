package node

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/bowline-edge/bowline/bpf"
)

// talk writes the host's lines about one plugin, and remembers the last step
// that was refused and not made good since.
type talk struct {
	w       io.Writer
	name    string
	verbose bool

	// mu guards the fields that follow.
	mu       sync.Mutex
	failed   map[string]error // by step, without those that went well later
	order    []string
	last     string // the last line, to fold repetitions
	repeated int
}

func newTalk(w io.Writer, name string, verbose bool) *talk {
	if w == nil {
		w = io.Discard
	}
	return &talk{w: w, name: name, verbose: verbose, failed: map[string]error{}}
}

// maxSteps bounds what a guest can make the host remember.
const maxSteps = 64

// line writes one line. A line that repeats itself is written at powers of two,
// with its count, so that a guest in a loop does not flood the log.
func (t *talk) line(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(text)
}

func (t *talk) write(text string) {
	if text != t.last {
		t.last, t.repeated = text, 0
	}
	t.repeated++
	switch {
	case t.repeated == 1:
		fmt.Fprintf(t.w, "bowline: %s: %s\n", t.name, text)
	case t.repeated&(t.repeated-1) == 0:
		fmt.Fprintf(t.w, "bowline: %s: %s (%d times)\n", t.name, text, t.repeated)
	}
}

// detail writes a line that only --verbose shows.
func (t *talk) detail(format string, args ...any) {
	if t.verbose {
		t.line(fmt.Sprintf(format, args...))
	}
}

// report takes the outcome of a step for [engine.Env].
func (t *talk) report(step string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		delete(t.failed, step)
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
	t.write(step + ": " + strings.ReplaceAll(err.Error(), "\n", " "))
	var v *bpf.VerifierError
	if t.verbose && errors.As(err, &v) {
		for _, l := range v.Log {
			fmt.Fprintf(t.w, "  %s\n", l)
		}
	}
}

// refused answers the first step that failed for lack of a privilege or a
// kernel feature and did not go well later, nil if there is none.
func (t *talk) refused() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, step := range t.order {
		err := t.failed[step]
		if errors.Is(err, bpf.ErrPermission) || errors.Is(err, bpf.ErrUnsupported) {
			return err
		}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// report is what became of the tests on one kernel.
type report struct {
	// Kernel is the series, "newest" or "local".
	Kernel   string
	Release  string
	Packages []string `json:",omitempty"`
	Boots    int      `json:",omitempty"`
	Seconds  float64
	Tests    []*result
	// Error is what kept the tests from running.
	Error string `json:",omitempty"`
}

// result is what became of one package's tests.
type result struct {
	Package string
	// Status is the exit status of the test binary.
	Status  int
	Seconds float64
	Tests   []*test

	other []string // output of no test
}

// test is one test or subtest.
type test struct {
	Name    string
	Result  string // pass, skip, fail
	Seconds float64
	// Reason is why it was skipped.
	Reason string `json:",omitempty"`
	// Covers are the types that it told it covers.
	Covers []string `json:",omitempty"`

	output []string
}

// readResult makes sense of the output of a test binary that ran with -test.v=test2json, by Go's own tool.
func readResult(ctx context.Context, pkg string, out []byte) (*result, error) {
	cmd := exec.CommandContext(ctx, goCommand(), "tool", "test2json", "-t", "-p", pkg)
	cmd.Stdin = bytes.NewReader(out)
	events, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("read the output of the tests of %s: %w", pkg, err)
	}
	r := &result{Package: pkg}
	byName := map[string]*test{}
	for d := json.NewDecoder(bytes.NewReader(events)); ; {
		var e struct {
			Action, Test, Output, Key, Value string
			Elapsed                          float64
		}
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the output of the tests of %s: %w", pkg, err)
		}
		if e.Test == "" {
			if e.Action == "output" {
				r.other = append(r.other, e.Output)
			}
			continue
		}
		t := byName[e.Test]
		if t == nil {
			t = &test{Name: e.Test}
			byName[e.Test] = t
			r.Tests = append(r.Tests, t)
		}
		switch e.Action {
		case "output":
			t.output = append(t.output, e.Output)
		case "attr":
			if e.Key == "covers" {
				t.Covers = append(t.Covers, e.Value)
			}
		case "pass", "fail", "skip":
			t.Result, t.Seconds = e.Action, e.Elapsed
			if e.Action == "skip" {
				t.Reason = reason(t.output)
			}
		}
	}
}

var place = regexp.MustCompile(`^\s+[\w.]+\.go:[0-9]+: `)

// reason is the last thing that a test said with its place.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		if at := place.FindString(line); at != "" {
			return strings.TrimSpace(line[len(at):])
		}
	}
	return ""
}

// count leaves tests out that only hold others.
func (r *result) count() (passed, skipped, failed int) {
	for _, t := range r.Tests {
		if r.holds(t) {
			continue
		}
		switch t.Result {
		case "pass":
			passed++
		case "skip":
			skipped++
		default:
			failed++
		}
	}
	return passed, skipped, failed
}

func (r *result) holds(t *test) bool {
	return slices.ContainsFunc(r.Tests, func(u *test) bool { return strings.HasPrefix(u.Name, t.Name+"/") })
}

// text is what "go test" shows: what failed, or everything.
func (r *result) text(all bool) string {
	var b strings.Builder
	for _, t := range r.Tests {
		if all || (t.Result != "pass" && t.Result != "skip") {
			b.WriteString(strings.Join(t.output, ""))
		}
	}
	b.WriteString(strings.Join(r.other, ""))
	return b.String()
}

func (r *report) failed() bool {
	return r.Error != "" || slices.ContainsFunc(r.Tests, func(t *result) bool { return t.Status != 0 })
}

// merge takes over the results of a later run on the same kernel, test by test.
func (r *report) merge(later *report) {
	r.Error = later.Error
	for _, more := range later.Tests {
		i := slices.IndexFunc(r.Tests, func(p *result) bool { return p.Package == more.Package })
		if i < 0 {
			r.Tests = append(r.Tests, more)
			continue
		}
		p := r.Tests[i]
		for _, t := range more.Tests {
			if j := slices.IndexFunc(p.Tests, func(old *test) bool { return old.Name == t.Name }); j >= 0 {
				p.Tests[j] = t
			} else {
				p.Tests = append(p.Tests, t)
			}
		}
		p.Status = more.Status
		if _, _, failed := p.count(); failed > 0 {
			p.Status = 1
		}
	}
}

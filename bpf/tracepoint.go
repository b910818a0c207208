package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// attachTracepoint runs a program at a trace event, section tracepoint/CATEGORY/NAME. It works without tracefs being mounted
// (Linux 5.2). Requires at least Linux 4.7.
func attachTracepoint(p *Program, t Target) (*Link, error) {
	event := t.Symbol
	if event == "" {
		event = p.attachTo
	}
	if event == "" {
		return nil, noTarget("tracepoint", "sched/sched_process_exec")
	}
	id, err := tracepointID(event)
	if err != nil {
		return nil, err
	}
	l := &Link{target: event}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample_type: unix.PERF_SAMPLE_RAW, Sample: 1, Wakeup: 1}
	// One event is enough: the program runs on all CPUs whichever one is named here.
	if err := l.addPerf(p, &attr, -1, 0, t); err != nil {
		return nil, err
	}
	return l, nil
}

// tracepointID reads the number that perf knows a trace event by.
func tracepointID(event string) (uint64, error) {
	category, name, ok := strings.Cut(event, "/")
	if !ok || category == "" || name == "" || strings.Contains(name, "/") {
		return 0, badTarget("tracepoint %q has no category; want category/name, for example sched/sched_process_exec", short(event))
	}
	fs, err := kernel.Tracefs()
	if err != nil {
		return 0, err
	}
	defer fs.Close()
	b, err := fs.ReadFile("events/" + event + "/id")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrInvalid) {
		return 0, &targetError{text: noTracepoint(fs, category, name), cause: os.ErrNotExist}
	}
	if err != nil {
		return 0, fileRefused("read tracepoint", err)
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read tracepoint: %w", err)
	}
	return id, nil
}

// noTracepoint says what there is instead.
func noTracepoint(fs *kernel.FS, category, name string) string {
	all, err := fs.ReadDir("events")
	if err != nil {
		return "no such tracepoint"
	}
	slices.Sort(all)
	for _, c := range all {
		names, err := fs.ReadDir("events/" + c)
		if err == nil && c != category && slices.Contains(names, name) {
			return fmt.Sprintf("no such tracepoint; %s is in category %s: %s/%s", name, c, c, name)
		}
	}
	if !slices.Contains(all, category) {
		return fmt.Sprintf("no such tracepoint: this kernel has no category %q", category)
	}
	return fmt.Sprintf("no such tracepoint: this kernel has no %q in category %s", name, category)
}

// fileRefused says what reads the files of tracefs, which belong to root.
func fileRefused(what string, err error) error {
	caps, capErr := kernel.Capabilities()
	if errors.Is(err, os.ErrPermission) && capErr == nil && !caps.Has(kernel.CapDACReadSearch) {
		var file *os.PathError
		if errors.As(err, &file) {
			what += " (" + file.Path + ")"
		}
		return &PermissionError{What: what, Capability: "CAP_DAC_READ_SEARCH, or root's user, or the right to read the files of tracefs", Cause: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

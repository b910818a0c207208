package bpf

import (
	"errors"
	"os"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachRawTracepoint runs a program at a tracepoint with its raw arguments, section raw_tp/NAME. Requires at least Linux 4.17
// (5.2 for writable ones, raw_tp.w).
func attachRawTracepoint(p *Program, t Target) (*Link, error) {
	name := t.Symbol
	if name == "" {
		name = p.attachTo
	}
	if name == "" {
		return nil, noTarget("tracepoint", "sched_process_exec")
	}
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: p.prog})
	if errors.Is(err, unix.ENOENT) {
		return nil, &targetError{text: "no such tracepoint in this kernel; give the name without category, for example sched_process_exec", cause: os.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return newLink(l, name), nil
}

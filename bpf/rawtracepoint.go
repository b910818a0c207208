package bpf

import (
	"errors"
	"os"
	"strings"
	"unsafe"

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
	if strings.ContainsRune(name, 0) {
		return nil, badTarget("a tracepoint's name has no zero byte")
	}
	var l link.Link
	var err error
	if t.Cookie != 0 {
		l, err = rawTracepointCookie(p, name, t.Cookie)
	} else {
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: p.prog})
	}
	if errors.Is(err, unix.ENOENT) {
		return nil, &targetError{text: "no such tracepoint in this kernel; give the name without category, for example sched_process_exec", cause: os.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return newLink(l, name), nil
}

// rawTracepointCookie is BPF_RAW_TRACEPOINT_OPEN with a cookie; cilium/ebpf has it not. Requires at least Linux 6.10.
func rawTracepointCookie(p *Program, name string, cookie uint64) (link.Link, error) {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return nil, badTarget("%w", err)
	}
	attr := struct {
		name    userPointer
		prog, _ uint32
		cookie  uint64
	}{name: userPointer{ptr: unsafe.Pointer(text)}, prog: uint32(p.fd), cookie: cookie}
	fd, err := bpfCall(unix.BPF_RAW_TRACEPOINT_OPEN, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	switch {
	case err == nil:
		return link.NewFromFD(fd)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.E2BIG):
		return nil, noCookie(HookRawTracepoint, "6.10", err)
	}
	return nil, err
}

// noCookie says since when a hook has cookies.
func noCookie(h Hook, since string, cause error) error {
	return &UnsupportedError{Feature: "a cookie for " + string(h), Need: "Linux " + since, Cause: cause}
}

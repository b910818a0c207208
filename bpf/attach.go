package bpf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

var errLinkClosed = fmt.Errorf("link: %w", os.ErrClosed)

// hookInfo is what is known about a hook without asking the kernel.
type hookInfo struct {
	attach func(*Program, Target) (*Link, error)
	// major and minor are the first Linux that can attach here the way attach does.
	major, minor int
	// caps are needed besides CAP_BPF.
	caps []kernel.Cap
}

var (
	tracingCaps = []kernel.Cap{kernel.CapPerfmon}
	networkCaps = []kernel.Cap{kernel.CapNetAdmin}
)

// info is a function and no variable because the attach functions look at it.
func (h Hook) info() (hookInfo, bool) {
	i, ok := map[Hook]hookInfo{
		HookXDP:           {attachXDP, 5, 9, networkCaps},
		HookTC:            {attachTC, 4, 5, networkCaps},
		HookTCAction:      {attachAction, 4, 1, networkCaps},
		HookTCX:           {attachTCX, 6, 6, networkCaps},
		HookNetkit:        {attachNetkit, 6, 7, networkCaps},
		HookCgroup:        {attachCgroup, 4, 10, networkCaps},
		HookSockOps:       {attachSockOps, 4, 13, networkCaps},
		HookLSMCgroup:     {attachLSMCgroup, 6, 0, nil},
		HookSkMsg:         {attachSkMsg, 4, 17, networkCaps},
		HookSkSKB:         {attachSkSKB, 4, 14, networkCaps},
		HookSkLookup:      {attachSkLookup, 5, 9, networkCaps},
		HookFlowDissector: {attachFlowDissector, 4, 20, networkCaps},
		HookSocket:        {attachSocketFilter, 3, 19, nil},
		HookSkReuseport:   {attachReuseport, 4, 19, nil},
		HookTracepoint:    {attachTracepoint, 4, 7, tracingCaps},
		HookRawTracepoint: {attachRawTracepoint, 4, 17, tracingCaps},
		HookTPBTF:         {attachTracing, 5, 5, tracingCaps},
		HookFentry:        {attachTracing, 5, 5, tracingCaps},
		HookFexit:         {attachTracing, 5, 5, tracingCaps},
		HookFmodRet:       {attachTracing, 5, 7, tracingCaps},
		HookFsession:      {attachTracing, 7, 0, tracingCaps},
		HookFreplace:      {attachFreplace, 5, 6, nil},
		HookKprobe:        {attachKprobe, 4, 17, tracingCaps},
		HookKretprobe:     {attachKprobe, 4, 17, tracingCaps},
		HookKsyscall:      {attachKprobe, 4, 17, tracingCaps},
		HookKretsyscall:   {attachKprobe, 4, 17, tracingCaps},
		HookKprobeMulti:   {attachKprobeMulti, 5, 18, tracingCaps},
		HookKretMulti:     {attachKprobeMulti, 5, 18, tracingCaps},
		HookKprobeSession: {attachKprobeMulti, 6, 10, tracingCaps},
		HookUprobe:        {attachUprobe, 4, 17, tracingCaps},
		HookUretprobe:     {attachUprobe, 4, 17, tracingCaps},
		HookUprobeMulti:   {attachUprobeMulti, 6, 6, tracingCaps},
		HookUretMulti:     {attachUprobeMulti, 6, 6, tracingCaps},
		HookUprobeSession: {attachUprobeMulti, 6, 13, tracingCaps},
		HookUSDT:          {attachUSDT, 4, 17, tracingCaps},
		HookPerfEvent:     {attachPerfEvent, 4, 9, tracingCaps},
		HookLSM:           {attachLSM, 5, 7, tracingCaps},
		HookIter:          {attachIter, 5, 8, tracingCaps},
		HookNetfilter:     {attachNetfilter, 6, 4, networkCaps},
		HookStructOps:     {attachStructOps, 6, 4, networkCaps},
		HookSyscall:       {attachSyscall, 5, 14, nil},
		HookLWT:           {attachLWT, 4, 10, networkCaps},
		HookLirc:          {attachLirc, 4, 18, networkCaps},
	}[h]
	return i, ok
}

// attach puts a program where its section name and the target say. The caller owns the link.
func attach(p *Program, t Target) (*Link, error) {
	if p == nil || p.prog == nil || p.prog.FD() < 0 {
		return nil, fmt.Errorf("attach: program: %w", os.ErrClosed)
	}
	info, ok := p.hook.info()
	if !ok {
		return nil, fmt.Errorf("attach %s: %w: its section %q does not say to what; name it for example \"xdp\" or "+
			"\"tracepoint/sched/sched_process_exec\"", p.name, ErrType, p.section)
	}
	var l *Link
	err := checkTarget(t)
	if err == nil {
		l, err = info.attach(p, t)
	}
	if err != nil {
		to := t.describe(p)
		if to != "" {
			to = " to " + to
		}
		return nil, fmt.Errorf("attach %s%s: %w", p.hook, to, p.explain(err))
	}
	l.prog, l.hook = p, p.hook
	return l, nil
}

// checkTarget refuses numbers that no hook has a use for.
func checkTarget(t Target) error {
	if t.PID < 0 || t.PID > math.MaxInt32 {
		return badTarget("%d is no process id", t.PID)
	}
	if t.Offset > math.MaxInt64 {
		return badTarget("%#x is no offset", t.Offset)
	}
	return nil
}

// describe names the target in messages, as far as it is known.
func (t Target) describe(p *Program) string {
	symbol := t.Symbol
	if t.Offset != 0 {
		symbol += fmt.Sprintf("+%#x", t.Offset)
	}
	if t.Path != "" {
		s := t.Path
		if symbol != "" {
			s += ":" + strings.TrimPrefix(symbol, "+")
		}
		if t.PID != 0 {
			s += fmt.Sprintf("@%d", t.PID)
		}
		return s
	}
	for _, s := range []string{t.Interface, t.Cgroup, t.Netns, t.MapName, symbol} {
		if s != "" {
			return s
		}
	}
	if t.Map != nil {
		return t.Map.Name()
	}
	switch p.hook {
	case HookXDP, HookTC, HookTCX, HookNetkit, HookCgroup, HookSockOps, HookSkSKB:
		return "" // the rest of the section name is a kind, not a place
	}
	return p.attachTo
}

// explain gives an error of the kernel, of cilium/ebpf or of internal/kernel the types of this package.
func (p *Program) explain(err error) error {
	info, _ := p.hook.info()
	return explain(err, p.hook, info)
}

func explain(err error, h Hook, info hookInfo) error {
	var (
		unsupported *UnsupportedError
		permission  *PermissionError
		missing     *kernel.Missing
		denied      *kernel.Denied
	)
	switch {
	case errors.As(err, &unsupported), errors.As(err, &permission), errors.Is(err, ErrTarget), errors.Is(err, ErrBusy):
		return err
	case errors.As(err, &missing):
		return &UnsupportedError{Feature: missing.Feature, Need: missing.Need, Cause: err}
	case errors.As(err, &denied):
		return &PermissionError{What: denied.What, Capability: denied.Capability, Cause: err}
	}
	need := fmt.Sprintf("Linux %d.%d", info.major, info.minor)
	running := kernel.Running()
	older := !running.AtLeast(info.major, info.minor)
	switch {
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, enotsupp), errors.Is(err, unix.EOPNOTSUPP):
		if !older {
			need += " with it built in (this is " + running.String() + ")"
		}
		return &UnsupportedError{Feature: string(h), Need: need, Cause: err}
	case errors.Is(err, unix.EINVAL) && older:
		return &UnsupportedError{Feature: string(h), Need: need, Cause: err}
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return refused(err, h, info)
	}
	return err
}

// refused finds out which privilege is missing.
func refused(err error, h Hook, info hookInfo) error {
	caps, capErr := kernel.Capabilities()
	if capErr != nil {
		return errors.Join(err, capErr)
	}
	var names []string
	for _, c := range caps.Missing(append([]kernel.Cap{kernel.CapBPF}, info.caps...)...) {
		names = append(names, c.String())
	}
	need := strings.Join(names, " and ")
	if need == "" && !kernel.InitialUserNamespace() {
		need = "to be outside of a user namespace (a rootless container)"
	}
	if need == "" {
		return fmt.Errorf("%w, although no capability is missing; a security module or lockdown may forbid it", err)
	}
	return &PermissionError{What: string(h), Capability: need, Cause: err}
}

// newLink is a link of the kernel's with what people call its target.
func newLink(l link.Link, target string) *Link { return &Link{raw: []link.Link{l}, target: target} }

// terse is an error that says only the kernel's own word, where the steps on the way to it tell the reader nothing.
type terse struct{ error }

func (t terse) Error() string {
	var no unix.Errno
	if errors.As(t.error, &no) {
		return no.Error()
	}
	return t.error.Error()
}

func (t terse) Unwrap() error { return t.error }

// busyf is an error that matches [ErrBusy].
func busyf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBusy, fmt.Errorf(format, args...))
}

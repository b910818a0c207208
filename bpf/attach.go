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
		HookXDP:           {attachXDP, networkCaps},
		HookTC:            {attachTC, networkCaps},
		HookTCAction:      {attachAction, networkCaps},
		HookTCX:           {attachTCX, networkCaps},
		HookNetkit:        {attachNetkit, networkCaps},
		HookCgroup:        {attachCgroup, networkCaps},
		HookSockOps:       {attachSockOps, networkCaps},
		HookLSMCgroup:     {attachLSMCgroup, nil},
		HookSkMsg:         {attachSkMsg, networkCaps},
		HookSkSKB:         {attachSkSKB, networkCaps},
		HookSkLookup:      {attachSkLookup, networkCaps},
		HookFlowDissector: {attachFlowDissector, networkCaps},
		HookSocket:        {attachSocketFilter, nil},
		HookSkReuseport:   {attachReuseport, nil},
		HookTracepoint:    {attachTracepoint, tracingCaps},
		HookRawTracepoint: {attachRawTracepoint, tracingCaps},
		HookTPBTF:         {attachTracing, tracingCaps},
		HookFentry:        {attachTracing, tracingCaps},
		HookFexit:         {attachTracing, tracingCaps},
		HookFmodRet:       {attachTracing, tracingCaps},
		HookFsession:      {attachTracing, tracingCaps},
		HookFreplace:      {attachFreplace, nil},
		HookKprobe:        {attachKprobe, tracingCaps},
		HookKretprobe:     {attachKprobe, tracingCaps},
		HookKsyscall:      {attachKprobe, tracingCaps},
		HookKretsyscall:   {attachKprobe, tracingCaps},
		HookKprobeMulti:   {attachKprobeMulti, tracingCaps},
		HookKretMulti:     {attachKprobeMulti, tracingCaps},
		HookKprobeSession: {attachKprobeMulti, tracingCaps},
		HookUprobe:        {attachUprobe, tracingCaps},
		HookUretprobe:     {attachUprobe, tracingCaps},
		HookUprobeMulti:   {attachUprobeMulti, tracingCaps},
		HookUretMulti:     {attachUprobeMulti, tracingCaps},
		HookUprobeSession: {attachUprobeMulti, tracingCaps},
		HookUSDT:          {attachUSDT, tracingCaps},
		HookPerfEvent:     {attachPerfEvent, tracingCaps},
		HookLSM:           {attachLSM, tracingCaps},
		HookIter:          {attachIter, tracingCaps},
		HookNetfilter:     {attachNetfilter, networkCaps},
		HookStructOps:     {attachStructOps, networkCaps},
		HookSyscall:       {attachSyscall, nil},
		HookLWT:           {attachLWT, networkCaps},
		HookLirc:          {attachLirc, networkCaps},
	}[h]
	return i, ok
}

// attach puts a program where its section name and the target say. The caller owns the link.
func attach(p *Program, t Target) (*Link, error) {
	if !p.enter() {
		return nil, fmt.Errorf("attach: program: %w", os.ErrClosed)
	}
	defer p.leave()
	info, ok := p.hook.info()
	if !ok {
		return nil, fmt.Errorf("attach %s: %w: its section %q does not say to what; name it for example \"xdp\" or "+
			"\"tracepoint/sched/sched_process_exec\"", p.name, ErrType, p.section)
	}
	var l *Link
	err := checkTarget(t)
	if err == nil {
		var release func()
		if release, err = t.hold(); err == nil {
			l, err = info.attach(p, t)
			release()
		}
	}
	if err != nil {
		to := t.describe(p)
		if to != "" {
			to = " to " + to
		}
		return nil, fmt.Errorf("attach %s%s: %w", p.hook, to, p.explain(err))
	}
	return l.of(p), nil
}

// checkTarget refuses numbers that no hook has a use for.
func checkTarget(t Target) error {
	if t.PID < 0 || t.PID > math.MaxInt32 {
		return badTarget("%d is no process id", t.PID)
	}
	if t.TID < 0 || t.TID > math.MaxInt32 {
		return badTarget("%d is no thread id", t.TID)
	}
	if t.Offset > math.MaxInt64 {
		return badTarget("%#x is no offset", t.Offset)
	}
	return nil
}

// describe names the target in messages, as far as it is known.
func (t Target) describe(p *Program) string {
	symbol := t.Symbol
	if len(t.Symbols) > 0 {
		symbol = short(strings.Join(t.Symbols, ","))
	}
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
	since, _ := kernel.AttachSince(string(h))
	need := "Linux " + since.Short()
	running := kernel.Running()
	older := !running.AtLeast(since.Major, since.Minor)
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

package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachUprobeMulti runs a program at many functions of one file at once: section uprobe.multi/PATH:PATTERN with * and ?, or a
// target. Requires at least Linux 6.6 (sessions 6.13).
func attachUprobeMulti(p *Program, t Target) (*Link, error) {
	t, x, err := uprobeTarget(p, t)
	if err != nil {
		return nil, err
	}
	defer x.close()
	offsets, err := x.places(t)
	if err != nil {
		return nil, err
	}
	var l link.Link
	if p.hook == HookUprobeSession {
		l, err = uprobeSession(p, x.path, offsets, t)
	} else {
		l, err = uprobeMulti(p, x.path, offsets, t)
	}
	if err != nil {
		return nil, err
	}
	made := newLink(l, t.describe(p))
	made.note = fmt.Sprintf("%d functions", len(offsets))
	return made, nil
}

// places lists the offsets in the file that a target means: all that fit its pattern, those of its symbols in their order, or one.
func (x *executable) places(t Target) ([]uint64, error) {
	switch {
	case isPattern(t.Symbol):
		return x.matches(t.Symbol)
	case len(t.Symbols) > 0:
		found, err := x.functions(func(s string) bool { return slices.Contains(t.Symbols, s) })
		if err != nil {
			return nil, err
		}
		var offsets []uint64
		for _, s := range t.Symbols {
			off, ok := found[s]
			if !ok {
				return nil, noSuch("%s has no function %s", x.path, short(s))
			}
			offsets = append(offsets, off)
		}
		return offsets, nil
	case t.Symbol != "":
		start, err := x.function(t.Symbol)
		return []uint64{start + t.Offset}, err
	}
	return []uint64{t.Offset}, nil
}

func uprobeMulti(p *Program, path string, offsets []uint64, t Target) (link.Link, error) {
	ex, err := link.OpenExecutable(path)
	if err != nil {
		return nil, badTarget("%w", err)
	}
	open := ex.UprobeMulti
	if p.hook == HookUretMulti {
		open = ex.UretprobeMulti
	}
	l, err := open(nil, p.prog, &link.UprobeMultiOptions{Addresses: offsets, PID: uint32(t.PID), Cookies: t.cookies(len(offsets))})
	if errors.Is(err, os.ErrNotExist) && t.PID != 0 {
		return nil, badTarget("no process %d: %w", t.PID, unix.ESRCH)
	}
	return l, err
}

// uprobeSession is BPF_LINK_CREATE for a program that runs at entry and return; cilium/ebpf has it not. Requires at least Linux 6.13.
func uprobeSession(p *Program, path string, offsets []uint64, t Target) (link.Link, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return nil, badTarget("%w", err)
	}
	attr := struct {
		prog, target, attachType, flags  uint32
		path, offsets, counters, cookies userPointer
		count, multiFlags, pid, _        uint32
	}{
		prog: uint32(p.fd), attachType: uint32(attachUprobeSession), path: userPointer{ptr: unsafe.Pointer(name)},
		offsets: userPointer{ptr: unsafe.Pointer(&offsets[0])}, count: uint32(len(offsets)), pid: uint32(t.PID),
	}
	if cookies := t.cookies(len(offsets)); cookies != nil {
		attr.cookies = userPointer{ptr: unsafe.Pointer(&cookies[0])}
	}
	fd, err := bpfCall(unix.BPF_LINK_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	switch {
	case err == nil:
		return link.NewFromFD(fd)
	case errors.Is(err, unix.ESRCH):
		return nil, badTarget("no process %d: %w", t.PID, err)
	}
	return nil, err
}

func isMulti(h Hook) bool {
	switch h {
	case HookKprobeMulti, HookKretMulti, HookKprobeSession, HookUprobeMulti, HookUretMulti, HookUprobeSession:
		return true
	}
	return false
}

// checkSymbols refuses lists of functions where they mean nothing.
func (t Target) checkSymbols(multi bool) error {
	switch {
	case len(t.Symbols) == 0 && len(t.Cookies) > 0:
		return badTarget("cookies are given for a list of functions, and no list")
	case len(t.Symbols) == 0:
	case !multi:
		return badTarget("a list of functions is for the multi hooks; give one")
	case t.Symbol != "" || t.Offset != 0:
		return badTarget("a list of functions and another place are given; want one")
	case len(t.Cookies) > 0 && len(t.Cookies) != len(t.Symbols):
		return badTarget("%d cookies for %d functions", len(t.Cookies), len(t.Symbols))
	case len(t.Symbols) > maxMatches:
		return badTarget("%d functions, more than %d", len(t.Symbols), maxMatches)
	}
	return nil
}

// cookies has one for each of n places, or none.
func (t Target) cookies(n int) []uint64 {
	switch {
	case len(t.Cookies) > 0:
		return t.Cookies
	case t.Cookie != 0:
		return slices.Repeat([]uint64{t.Cookie}, n)
	}
	return nil
}

package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// Attach attaches a program. Local names in the target are resolved by [Session.Resolve].
func (s *Session) Attach(p *bpf.Program, t bpf.Target) (int32, error) {
	l, err := s.AttachOwned(p, t)
	if err != nil {
		return 0, err
	}
	return s.add(l, l.Close)
}

// AttachOwned attaches a program of an object, which owns the link.
func (s *Session) AttachOwned(p *bpf.Program, t bpf.Target) (*bpf.Link, error) {
	at, t, err := p.Where(t)
	if err != nil {
		return nil, err
	}
	switch at.Hook {
	case bpf.HookNone, bpf.HookSyscall, bpf.HookLWT, bpf.HookTCAction: // have no place, and the error says who runs them
	default:
		err = s.May(policy.Action{
			Kind: policy.Attach, Hook: string(at.Hook), Sub: at.Kind, Name: at.Name, Symbol: at.Symbol, Offset: at.Offset,
		})
		if err != nil {
			return nil, err
		}
	}
	return p.Attach(t)
}

// Link finds a link.
func (s *Session) Link(handle int32) (*bpf.Link, error) { return get[*bpf.Link](s, handle, "link") }

// Resolve answers what a local name of a plugin stands for on this box; a name that is none stands for itself.
func (s *Session) Resolve(name string) string { return s.name(name) }

// iter is one run of an iterator.
type iter struct {
	r io.ReadCloser
}

// OpenIter starts one run of an iterator.
func (s *Session) OpenIter(l *bpf.Link) (int32, error) {
	r, err := l.OpenIter()
	if err != nil {
		return 0, err
	}
	return s.add(&iter{r}, r.Close)
}

// Iter says whether a handle is of a run of an iterator: nil, or an error that matches [ErrHandle].
func (s *Session) Iter(handle int32) error {
	_, err := get[*iter](s, handle, "iterator")
	return err
}

// ReadIter reads the next output of a run, 0 bytes at its end. The kernel produces it during the call; a record of an iterator is
// at most a few pages long.
func (s *Session) ReadIter(ctx context.Context, handle int32, buf []byte) (int, error) {
	it, err := get[*iter](s, handle, "iterator")
	if err != nil {
		return 0, err
	}
	if len(buf) == 0 {
		return 0, fmt.Errorf("read iterator: %w: a buffer of 0 bytes", ErrArgument)
	}
	if ctx.Err() != nil {
		return 0, ErrInterrupted
	}
	n, err := it.r.Read(buf)
	if err == nil || errors.Is(err, io.EOF) {
		return n, nil
	}
	var path *os.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return 0, fmt.Errorf("read iterator: %w", err)
}

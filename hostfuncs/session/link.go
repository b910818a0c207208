package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// Attach attaches a program. Local names in the target are resolved by [Session.Resolve].
func (s *Session) Attach(p *bpf.Program, t bpf.Target) (int32, error) {
	l, err := s.AttachOwned(p, t)
	if err != nil {
		return 0, err
	}
	c := cost{handles: 1}
	closer := func() error { return s.closeLink(l) }
	if err := s.budget.take(c); err != nil {
		return 0, errors.Join(err, closer())
	}
	return s.add(l, c, closer)
}

// AttachOwned attaches a program of an object, which owns the link.
func (s *Session) AttachOwned(p *bpf.Program, t bpf.Target) (*bpf.Link, error) {
	l, err := s.attach(p, t)
	return l, s.noSuchPlace(err, t)
}

func (s *Session) attach(p *bpf.Program, t bpf.Target) (*bpf.Link, error) {
	t, err := s.mayAttach(p, t)
	if err != nil {
		return nil, err
	}
	each := p.LinkFiles()
	c := cost{links: 1, files: each}
	if err := s.budget.take(c); err != nil {
		return nil, fmt.Errorf("attach %s: %w", p.Name(), err)
	}
	t.MaxLinks = 1 + min(s.budget.left(links), s.budget.left(files)/each)
	l, err := p.Attach(t)
	if err != nil {
		s.budget.give(c)
		if errors.Is(err, bpf.ErrTooManyLinks) {
			err = fmt.Errorf("attach %s: %w", p.Name(), s.tooManyLinks(t.MaxLinks, each))
		}
		return nil, err
	}
	use := &linkUse{budget: s.budget, cost: c, program: s.alone[p]}
	s.links[l] = use
	if use.program != nil {
		s.budget.linked(use.program)
	}
	n, f := l.Held()
	more := cost{links: n - 1, files: f - each}
	if err := s.budget.take(more); err != nil { // another instance of the plugin was faster
		return nil, errors.Join(fmt.Errorf("attach %s: %w", p.Name(), err), s.closeLink(l))
	}
	use.cost = use.cost.plus(more)
	return l, nil
}

// mayAttach asks for the place that a target means.
func (s *Session) mayAttach(p *bpf.Program, t bpf.Target) (bpf.Target, error) {
	at, t, err := p.Where(t)
	if err != nil {
		return t, err
	}
	switch at.Hook {
	case bpf.HookNone, bpf.HookSyscall, bpf.HookLWT, bpf.HookTCAction: // have no place, and the error says who runs them
		return t, nil
	}
	return t, s.May(policy.Action{
		Kind: policy.Attach, Hook: string(at.Hook), Sub: at.Kind, Name: at.Name, Symbol: at.Symbol, Offset: at.Offset,
	})
}

// tooManyLinks says which limit ends an attach that takes more than most links.
func (s *Session) tooManyLinks(most, each int) error {
	r, want := links, most+1
	if s.budget.left(files)/each < s.budget.left(links) {
		r, want = files, (most+1)*each
	}
	return &LimitError{resourceNames[r], s.budget.most[r], s.budget.most[r] - s.budget.left(r), want}
}

// linkUse is what a link was charged.
type linkUse struct {
	budget  *Budget
	cost    cost
	program *alone // nil if its program belongs to an object
	pinned  uint32 // the kernel's number, if it was pinned
	once    sync.Once
}

// gone gives back what a link was charged, from any goroutine.
func (u *linkUse) gone() {
	u.once.Do(func() {
		c := u.cost
		if u.pinned != 0 {
			c[links]--
			u.budget.later([]closed{{kind: bpf.IDLink, id: u.pinned}})
		}
		u.budget.give(c)
		if u.program != nil {
			u.budget.unlinked(u.program)
		}
	})
}

// patience is how long the end of links may take after their programs are off; the kernel does the rest by and by.
const patience = time.Second

// closeLink closes one link.
func (s *Session) closeLink(l *bpf.Link) error { return s.closeAll([]*bpf.Link{l}) }

func (s *Session) closeAll(list []*bpf.Link) error {
	if len(list) == 0 {
		return nil
	}
	uses := map[*bpf.Link]*linkUse{} // the goroutine must not look into the session
	for _, l := range list {
		if u := s.links[l]; u != nil {
			uses[l] = u
			delete(s.links, l)
		}
	}
	return bpf.CloseLinks(list, patience, func(l *bpf.Link) {
		if u := uses[l]; u != nil {
			u.gone()
		}
	})
}

// closeLinks closes all links.
func (s *Session) closeLinks() error {
	seen := map[*bpf.Link]bool{}
	var list []*bpf.Link
	add := func(l *bpf.Link) {
		if !seen[l] {
			seen[l] = true
			list = append(list, l)
		}
	}
	for _, e := range s.open {
		switch v := e.value.(type) {
		case *bpf.Link:
			add(v)
		case *Object:
			if v.loaded != nil && v.share == nil {
				for _, l := range v.loaded.Links() {
					add(l)
				}
			}
		}
	}
	return s.closeAll(list)
}

// UpdateLink puts another program in the place of the attached one; expected, unless nil, must be the attached one.
func (s *Session) UpdateLink(l *bpf.Link, p, expected *bpf.Program) error {
	s.budget.keep() // the link holds the program
	if expected != nil {
		return l.UpdateFrom(p, expected)
	}
	return l.Update(p)
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
	return s.opened(cost{files: 1}, func() (any, func() error, error) {
		s.budget.keep() // a run holds the program and its maps, whatever is closed meanwhile
		r, err := l.OpenIter()
		if err != nil {
			return nil, nil, err
		}
		return &iter{r}, r.Close, nil
	})
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

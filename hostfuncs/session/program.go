package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// Program finds a program.
func (s *Session) Program(handle int32) (*bpf.Program, error) {
	return get[*bpf.Program](s, handle, "program")
}

// ObjectProgram makes a handle of a program of a loaded object.
func (s *Session) ObjectProgram(o *Object, name string) (int32, error) {
	loaded, err := o.Loaded()
	if err != nil {
		return 0, err
	}
	p, err := loaded.Program(name)
	if err != nil {
		return 0, err
	}
	return s.opened(cost{}, func() (any, func() error, error) { return p, nil, nil })
}

// LoadProgram loads a program that the guest has generated. Instructions name maps by handle.
func (s *Session) LoadProgram(o bpf.ProgramOptions) (int32, error) {
	spec, err := o.Describe()
	if err == nil {
		err = s.mayLoadProgram(spec)
	}
	if err != nil {
		return 0, err
	}
	o.Map = func(handle int32) (*bpf.Map, error) {
		m, err := s.Map(handle)
		if err != nil {
			return nil, err
		}
		s.budget.keep()
		return m.Map, nil
	}
	return s.opened(cost{files: 1}, func() (any, func() error, error) {
		if err := s.budget.take(cost{programs: 1}); err != nil { // given back when the kernel has freed it
			return nil, nil, fmt.Errorf("load program %s: %w", spec.Name, err)
		}
		p, err := bpf.LoadProgram(o)
		if err != nil {
			s.budget.give(cost{programs: 1})
			return nil, nil, err
		}
		a := &alone{}
		logs := uint64(len(p.VerifierLog()))
		if err := s.budget.takeHost(logs); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("keep the verifier's log of %s: %w", p.Name(), err), s.budget.closeAlone(p, a))
		}
		s.alone[p] = a
		return p, func() error {
			delete(s.alone, p)
			s.budget.giveHost(logs)
			return s.budget.closeAlone(p, a)
		}, nil
	})
}

// alone is a program that belongs to no object. Links hold it, too.
type alone struct {
	// The fields are guarded by the budget's mu.
	id     uint32
	links  int
	closed bool
}

func (b *Budget) linked(a *alone) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.links++
}

func (b *Budget) unlinked(a *alone) {
	b.mu.Lock()
	a.links--
	last := a.closed && a.links == 0
	b.mu.Unlock()
	if last {
		b.later([]closed{{kind: bpf.IDProgram, id: a.id}})
	}
}

// closeAlone closes a program. What it was charged goes back when no link has it any more.
func (b *Budget) closeAlone(p *bpf.Program, a *alone) error {
	id := programID(p)
	err := p.Close()
	b.mu.Lock()
	a.id, a.closed = id, true
	last := a.links == 0
	b.mu.Unlock()
	if last {
		b.later([]closed{{kind: bpf.IDProgram, id: id}})
	}
	return err
}

// TestRun runs a program on given data.
func (s *Session) TestRun(ctx context.Context, p *bpf.Program, r *bpf.TestRun) error {
	kind := policy.TestRun
	if r.LiveFrames {
		kind = policy.LiveFrames
	}
	if err := s.May(policy.Action{Kind: kind}); err != nil {
		return err
	}
	return p.TestRun(ctx, r)
}

// EnableStats lets the kernel measure all programs while the handle is open.
func (s *Session) EnableStats() (int32, error) {
	if err := s.May(policy.Action{Kind: policy.Stats}); err != nil {
		return 0, err
	}
	return s.opened(cost{files: 1}, func() (any, func() error, error) {
		c, err := bpf.EnableStats()
		if err != nil {
			return nil, nil, err
		}
		return c, c.Close, nil
	})
}

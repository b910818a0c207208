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
	return s.add(p, nil)
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
		s.keep()
		return m.Map, nil
	}
	p, err := bpf.LoadProgram(o)
	if err != nil {
		return 0, err
	}
	logs := uint64(len(p.VerifierLog()))
	if err := s.chargeHost(logs); err != nil {
		return 0, errors.Join(fmt.Errorf("keep the verifier's log of %s: %w", p.Name(), err), p.Close())
	}
	return s.add(p, func() error {
		s.host -= logs
		return p.Close()
	})
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
	c, err := bpf.EnableStats()
	if err != nil {
		return 0, err
	}
	return s.add(c, c.Close)
}

package session

import (
	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// Guard decides what the plugin may do: [*policy.Rights]. Its errors match [policy.ErrDenied].
type Guard interface {
	Check(policy.Action) error
}

// May asks the policy, and tells whoever watches.
func (s *Session) May(a policy.Action) error {
	var err error
	if s.opts.Guard == nil {
		err = nothing.Check(a)
	} else {
		err = s.opts.Guard.Check(a)
	}
	if s.opts.Watch != nil {
		s.opts.Watch(a, err)
	}
	return err
}

// nothing are the rights of a session without a guard.
var nothing policy.Rights

// mayLoad asks for all that an object would load: the programs with what they call, and the maps. It looks at the instructions, not at
// what the plugin says of them.
func (s *Session) mayLoad(spec *bpf.Spec) error {
	for _, p := range spec.Programs() {
		if !spec.Loads(p.Name) {
			continue
		}
		if err := s.mayLoadProgram(p); err != nil {
			return err
		}
	}
	for _, m := range spec.Maps() {
		if err := s.May(policy.Action{Kind: policy.Map, Name: abi.TypeName(abi.MapTypes(), uint32(m.Type))}); err != nil {
			return err
		}
	}
	return nil
}

// mayLoadProgram asks for one program.
func (s *Session) mayLoadProgram(p bpf.ProgramSpec) error {
	err := s.May(policy.Action{
		Kind: policy.Load, Name: abi.TypeName(abi.ProgramTypes(), uint32(p.Type)), Hook: string(p.Hook), Symbol: p.AttachTo,
	})
	if err != nil {
		return err
	}
	for _, name := range p.Helpers {
		if err := s.May(policy.Action{Kind: policy.Helper, Name: name}); err != nil {
			return err
		}
	}
	for _, name := range p.Kfuncs {
		if err := s.May(policy.Action{Kind: policy.Kfunc, Name: name}); err != nil {
			return err
		}
	}
	return nil
}

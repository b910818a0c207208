package session

import (
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// pins opens our folder in the BPF file system.
func (s *Session) pins() (*bpf.PinDir, error) { return bpf.OpenPinDir(s.opts.PinPath) }

// Pin keeps a map, a program or a link after the process, under a name.
func (s *Session) Pin(handle int32, name string) error {
	e, ok := s.handles.Get(handle)
	if !ok {
		return noHandle(handle, "map, program or link")
	}
	if err := s.mayName(policy.Pin, name); err != nil {
		return err
	}
	var pin func(*bpf.PinDir) error
	switch v := e.value.(type) {
	case *Map:
		pin = func(d *bpf.PinDir) error { return d.PinMap(name, v.Map) }
	case *bpf.Program:
		pin = func(d *bpf.PinDir) error { return d.PinProgram(name, v) }
	case *bpf.Link:
		pin = func(d *bpf.PinDir) error {
			err := d.PinLink(name, v)
			if u := s.links[v]; u != nil && err == nil {
				for _, id := range v.IDs() {
					u.pinned = id
				}
			}
			return err
		}
	default:
		return fmt.Errorf("pin %s: %w: only maps, programs and links can be pinned", name, ErrKind)
	}
	d, err := s.pins()
	if err != nil {
		return err
	}
	s.budget.keep()
	return errors.Join(pin(d), d.Close())
}

// OpenPinned opens what was pinned under a name.
func (s *Session) OpenPinned(name string, kind Kind) (int32, error) {
	if err := s.mayName(policy.Pin, name); err != nil {
		return 0, err
	}
	d, err := s.pins()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	switch kind {
	case KindMap:
		return s.openMap(1, func() (*bpf.Map, error) { return d.OpenMap(name, bpf.PinOptions{}) })
	case KindProgram:
		return s.opened(cost{files: 1}, func() (any, func() error, error) {
			p, err := d.OpenProgram(name)
			if err != nil {
				return nil, nil, err
			}
			return p, p.Close, nil
		})
	case KindLink:
		return s.opened(cost{files: 1}, func() (any, func() error, error) {
			l, err := d.OpenLink(name)
			if err != nil {
				return nil, nil, err
			}
			return l, l.Close, nil
		})
	}
	return 0, fmt.Errorf("open pin %s: %w: only maps, programs and links can be pinned", name, ErrArgument)
}

// Unpin removes a pin.
func (s *Session) Unpin(name string) error {
	if err := s.mayName(policy.Pin, name); err != nil {
		return err
	}
	d, err := s.pins()
	if err != nil {
		return err
	}
	return errors.Join(d.Remove(name), d.Close())
}

// mayName checks a name of a share or a pin, and asks the policy.
func (s *Session) mayName(kind policy.Kind, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.May(policy.Action{Kind: kind, Name: name})
}

// maxName is the longest name of a share or a pin.
const maxName = 64

// checkName refuses names of shares and pins that could mean something to a file system or a terminal.
func checkName(name string) error {
	if len(name) == 0 || len(name) > maxName {
		return fmt.Errorf("%w: a name of %d characters, not 1 to %d", ErrArgument, len(name), maxName)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case c == '.' && i > 0:
		default:
			return fmt.Errorf("%w: name %q: only letters, digits, '_', '-' and '.', the first of them no '.'", ErrArgument, name)
		}
	}
	return nil
}

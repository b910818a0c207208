package session

import (
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/bpf"
)

// SetVariable sets a global variable: its first value before the load, its running value after it.
func (o *Object) SetVariable(name string, value []byte) error {
	if o.loaded == nil {
		return o.spec.SetVariable(name, value)
	}
	v, err := o.loaded.Variable(name)
	if err != nil {
		return err
	}
	err = v.Set(value)
	if errors.Is(err, bpf.ErrReadOnly) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}

// Variable answers the value of a global variable: before the load what it will be.
func (o *Object) Variable(name string) ([]byte, error) {
	if o.loaded == nil {
		return o.spec.Variable(name)
	}
	v, err := o.loaded.Variable(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, v.Size)
	return b, v.Get(b)
}

// ReplaceMap lets the object use a map that exists instead of its own of that name.
func (s *Session) ReplaceMap(o *Object, name string, m *Map) error {
	spec, err := o.configurable()
	if err != nil {
		return err
	}
	for _, have := range spec.Maps() {
		if have.Name == name {
			s.budget.keep()
			o.replace[name] = m.Map
			return nil
		}
	}
	return spec.SetMaxEntries(name, 0) // fails, and lists the maps there are
}

// SetLoad says whether a program is loaded with the object.
func (o *Object) SetLoad(name string, load bool) error {
	spec, err := o.configurable()
	if err != nil {
		return err
	}
	return spec.SetLoad(name, load)
}

// SetAttachTarget sets what a program is attached to at load: a place of the kernel, or of another program.
func (o *Object) SetAttachTarget(name, symbol string, target *bpf.Program) error {
	spec, err := o.configurable()
	if err != nil {
		return err
	}
	if symbol != "" {
		if err := spec.SetAttachTo(name, symbol); err != nil {
			return err
		}
	}
	if target != nil {
		return spec.SetTargetProgram(name, target)
	}
	if symbol == "" {
		return fmt.Errorf("program %s: %w: neither a place nor a program given", name, ErrArgument)
	}
	return nil
}

// Maps, Programs and Variables describe what is inside, before and after the load.
func (o *Object) Maps() []bpf.MapSpec { return o.spec.Maps() }

// Programs describes the programs by position in the file.
func (o *Object) Programs() []bpf.ProgramSpec { return o.spec.Programs() }

// Variables describes the global variables by name.
func (o *Object) Variables() []bpf.VariableSpec { return o.spec.VariableSpecs() }

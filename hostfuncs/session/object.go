package session

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/bowline-edge/bowline/bpf"
)

// Object is a BPF object, before and after its load.
type Object struct {
	spec    *bpf.Spec
	replace map[string]*bpf.Map
	loaded  *bpf.Object // nil before the load
	charged uint64      // of the plugin's kernel memory
	host    uint64      // of the host's memory
	cost    cost        // of the load
	share   *sharedObject
}

// OpenObject reads an ELF object. Nothing is loaded.
func (s *Session) OpenObject(elf []byte) (int32, error) {
	spec, err := bpf.Open(bytes.NewReader(elf))
	if err != nil {
		return 0, err
	}
	o := &Object{spec: spec, replace: map[string]*bpf.Map{}, host: uint64(len(elf)) + spec.Memory()}
	return s.opened(cost{}, func() (any, func() error, error) {
		if err := s.budget.takeHost(o.host); err != nil {
			return nil, nil, fmt.Errorf("open BPF object: %w", err)
		}
		return o, func() error { return s.closeObject(o) }, nil
	})
}

func (s *Session) closeObject(o *Object) error {
	s.budget.giveHost(o.host)
	switch {
	case o.loaded == nil:
		return nil
	case o.share != nil && o.share.owner != o:
		return o.share.release()
	}
	end := o.loaded.Close
	var err error
	if o.share != nil {
		end = o.share.release
	} else {
		err = s.closeAll(o.loaded.Links())
	}
	err = errors.Join(err, s.budget.giveBack(o.charged, o.loaded.Maps(), o.loaded.Programs(), end))
	s.budget.give(cost{files: o.cost[files]})
	return err
}

// Object finds an object.
func (s *Session) Object(handle int32) (*Object, error) { return get[*Object](s, handle, "BPF object") }

// Loaded is the object in the kernel. The error matches [ErrNotLoaded] before the load.
func (o *Object) Loaded() (*bpf.Object, error) {
	if o.loaded == nil {
		return nil, ErrNotLoaded
	}
	return o.loaded, nil
}

// configurable answers the spec of an object that is not loaded.
func (o *Object) configurable() (*bpf.Spec, error) {
	if o.loaded != nil {
		return nil, fmt.Errorf("%w; this has to be done before", ErrLoaded)
	}
	return o.spec, nil
}

// Load creates the object's maps and loads its programs, within the budget of the session.
func (s *Session) Load(o *Object, opts bpf.LoadOptions) error {
	spec, err := o.configurable()
	if err != nil {
		return err
	}
	if err := s.mayLoad(spec); err != nil {
		return err
	}
	opts.Maps = o.replace
	c := cost{files: len(spec.Maps())}
	for _, p := range spec.Programs() {
		if spec.Loads(p.Name) {
			c = c.plus(cost{programs: 1, files: 2}) // one of its type information
		}
	}
	if err := s.budget.take(c); err != nil {
		return err
	}
	if err := s.load(o, spec, opts); err != nil {
		s.budget.give(c)
		return err
	}
	o.cost = cost{programs: len(o.loaded.Programs()), files: o.loaded.Files()}
	s.budget.give(cost{programs: c[programs] - o.cost[programs], files: c[files] - o.cost[files]})
	return nil
}

// load is Load without what it costs.
func (s *Session) load(o *Object, spec *bpf.Spec, opts bpf.LoadOptions) error {
	var loaded *bpf.Object
	err := s.budget.withRoom(func(limit uint64) (uint64, error) {
		opts.MapMemory = limit
		var err error
		if loaded, err = spec.Load(opts); err != nil {
			return 0, err
		}
		return loaded.MapMemory(), nil
	})
	if err != nil {
		return err
	}
	var logs uint64
	for _, p := range loaded.Programs() {
		logs += uint64(len(p.VerifierLog()))
	}
	if err := s.budget.takeHost(logs); err != nil {
		s.budget.giveMemory(loaded.MapMemory())
		return errors.Join(fmt.Errorf("keep the verifier's log: %w", err), loaded.Close())
	}
	o.host += logs
	o.loaded, o.charged = loaded, loaded.MapMemory()
	return nil
}

// MapField is what SetMap sets.
type MapField int

// The fields of a map that can be set before the load.
const (
	MaxEntries MapField = iota
	Flags
	KeySize
	ValueSize
)

// SetMap changes a map before it is created.
func (o *Object) SetMap(name string, field MapField, value uint64) error {
	spec, err := o.configurable()
	if err != nil {
		return err
	}
	if value > math.MaxUint32 {
		return fmt.Errorf("map %s: %w: %d does not fit in 32 bits", name, ErrRange, value)
	}
	n := uint32(value)
	switch field {
	case MaxEntries:
		return spec.SetMaxEntries(name, n)
	case Flags:
		return spec.SetMapFlags(name, n)
	case KeySize:
		return spec.SetKeySize(name, n)
	case ValueSize:
		return spec.SetValueSize(name, n)
	}
	return fmt.Errorf("map %s: %w: no field %d", name, ErrArgument, field)
}

package session

import (
	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// Map is a map that an instance has a handle of.
type Map struct {
	*bpf.Map
	// valueFDs and keyFDs say that the kernel takes values or keys as descriptors, where the guest writes handles.
	valueFDs, keyFDs bool
	ring             *bpf.UserRing // opened by the first write
	close            func() error
}

// newMap wraps a map; closer closes what the handle owns of it, nil for nothing.
func newMap(m *bpf.Map, closer func() error) *Map {
	return &Map{Map: m, valueFDs: m.ValuesAreFDs(), keyFDs: m.KeysAreFDs(), close: closer}
}

// openMap gives a handle to a map that open opens; it takes that many descriptors.
func (s *Session) openMap(n int, open func() (*bpf.Map, error)) (int32, error) {
	return s.opened(cost{files: n}, func() (any, func() error, error) {
		m, err := open()
		if err != nil {
			return nil, nil, err
		}
		made := newMap(m, m.Close)
		return made, made.end, nil
	})
}

func (m *Map) end() error {
	var err error
	if m.ring != nil {
		err = m.ring.Close()
	}
	if m.close != nil {
		if cerr := m.close(); err == nil {
			err = cerr
		}
	}
	return err
}

// CreateMap makes a map without an object, within the budget of the session.
func (s *Session) CreateMap(o bpf.MapOptions) (int32, error) {
	err := s.May(policy.Action{Kind: policy.Map, Name: abi.TypeName(abi.MapTypes(), uint32(o.Type))})
	if err != nil {
		return 0, err
	}
	return s.opened(cost{files: 1}, func() (any, func() error, error) {
		var m *bpf.Map
		err := s.budget.withRoom(func(limit uint64) (uint64, error) {
			o.MapMemory = limit
			var err error
			if m, err = bpf.CreateMap(o); err != nil {
				return 0, err
			}
			return m.Memory(), nil
		})
		if err != nil {
			return nil, nil, err
		}
		made := newMap(m, func() error { return s.budget.giveBack(m.Memory(), []*bpf.Map{m}, nil, m.Close) })
		return made, made.end, nil
	})
}

// ObjectMap makes a handle of a map of a loaded object.
func (s *Session) ObjectMap(o *Object, name string) (int32, error) {
	loaded, err := o.Loaded()
	if err != nil {
		return 0, err
	}
	m, err := loaded.Map(name)
	if err != nil {
		return 0, err
	}
	return s.opened(cost{}, func() (any, func() error, error) {
		made := newMap(m, nil)
		return made, made.end, nil
	})
}

// Freeze makes the map read-only for user space. Freezing it again is no error.
func (m *Map) Freeze() error {
	err := m.Map.Freeze()
	if err == nil {
		return nil
	}
	if info, ierr := m.Info(); ierr == nil && info.Frozen {
		return nil
	}
	return err
}

// Map finds a map.
func (s *Session) Map(handle int32) (*Map, error) { return get[*Map](s, handle, "map") }

// InnerMap opens the map that a map of maps holds under a key.
func (s *Session) InnerMap(m *Map, key []byte) (int32, error) {
	return s.openMap(1, func() (*bpf.Map, error) { return m.GetMap(key) })
}

// WriteRing writes framed records to a user ring buffer and answers how many.
func (m *Map) WriteRing(frames []byte) (int, error) {
	if m.ring == nil {
		ring, err := bpf.OpenUserRing(m.Map)
		if err != nil {
			return 0, err
		}
		m.ring = ring
	}
	_, n, err := m.ring.WriteBatch(frames)
	return n, err
}

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

func (s *Session) addMap(m *Map) (int32, error) { return s.add(m, m.end) }

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
	var m *bpf.Map
	err = s.withRoom(func(limit uint64) (err error) {
		o.MapMemory = limit
		m, err = bpf.CreateMap(o)
		return err
	})
	if err != nil {
		return 0, err
	}
	charged := m.Memory()
	s.memory -= charged
	return s.addMap(newMap(m, func() error { return s.giveBack(charged, []*bpf.Map{m}, m.Close) }))
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
	return s.addMap(newMap(m, nil))
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
	inner, err := m.GetMap(key)
	if err != nil {
		return 0, err
	}
	return s.addMap(newMap(inner, inner.Close))
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

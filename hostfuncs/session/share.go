package session

import (
	"errors"
	"fmt"
	"sync"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// Shared are the objects that instances of one process share by name. Maps are shared by [bpf.ShareMap], between processes. The
// zero value is ready; it is safe for concurrent use.
type Shared struct {
	// mu guards the fields that follow.
	mu      sync.Mutex
	objects map[string]*sharedObject
}

// sharedObject is an object with several users. The last one closes it.
type sharedObject struct {
	list *Shared
	name string
	spec *bpf.Spec
	obj  *bpf.Object
	refs int // guarded by list.mu
	// owner is what has loaded it, freed gives back what that was charged of this process: descriptors and memory.
	owner *Object
	freed func()
}

// release gives one user's part up.
func (o *sharedObject) release() error {
	o.list.mu.Lock()
	o.refs--
	last := o.refs == 0
	if last {
		delete(o.list.objects, o.name)
	}
	o.list.mu.Unlock()
	if !last {
		return nil
	}
	defer o.freed()
	return o.obj.Close()
}

// Kind is the kind of object that a handle names.
type Kind string

// The kinds that have names.
const (
	KindObject  Kind = "object"
	KindMap     Kind = "map"
	KindProgram Kind = "program"
	KindLink    Kind = "link"
)

// Share gives a map or a loaded object a name for others.
func (s *Session) Share(handle int32, name string) error {
	e, ok := s.handles.Get(handle)
	if !ok {
		return noHandle(handle, "map or object")
	}
	if err := s.mayName(policy.Share, name); err != nil {
		return err
	}
	switch v := e.value.(type) {
	case *Map:
		return s.shareMap(v, name)
	case *Object:
		return s.shareObject(v, name)
	}
	return fmt.Errorf("share %s: %w: only maps and objects can be shared", name, ErrKind)
}

// shareMap shares a map until its handle is closed. A share holds the map and a marker.
func (s *Session) shareMap(m *Map, name string) error {
	c := cost{files: 2}
	if err := s.budget.take(c); err != nil {
		return fmt.Errorf("share map as %s: %w", name, err)
	}
	s.budget.keep()
	shared, err := bpf.ShareMap(name, m.Map)
	if err != nil {
		s.budget.give(c)
		return err
	}
	before := m.close
	m.close = func() error {
		err := shared.Close()
		s.budget.give(c)
		if before != nil {
			err = errors.Join(err, before())
		}
		return err
	}
	return nil
}

func (s *Session) shareObject(o *Object, name string) error {
	loaded, err := o.Loaded()
	if err != nil {
		return err
	}
	list := s.opts.Shared
	if list == nil {
		return fmt.Errorf("share object %s: %w: this host shares no objects", name, ErrKind)
	}
	if o.share != nil {
		return fmt.Errorf("share object %s: %w: it is shared as %s", name, ErrExists, o.share.name)
	}
	list.mu.Lock()
	defer list.mu.Unlock()
	if list.objects[name] != nil {
		return fmt.Errorf("share object %s: %w", name, ErrExists)
	}
	if list.objects == nil {
		list.objects = map[string]*sharedObject{}
	}
	s.budget.keep() // others may have it when this plugin closes it
	host, open := o.host, cost{files: o.cost[files]}
	o.host, o.cost[files] = 0, 0
	o.share = &sharedObject{list: list, name: name, spec: o.spec, obj: loaded, refs: 1, owner: o, freed: func() {
		s.budget.giveHost(host)
		s.budget.give(open)
	}}
	list.objects[name] = o.share
	return nil
}

// OpenShared opens what is shared under a name.
func (s *Session) OpenShared(name string, kind Kind) (int32, error) {
	if err := s.mayName(policy.Share, name); err != nil {
		return 0, err
	}
	switch kind {
	case KindMap:
		return s.openMap(2, func() (*bpf.Map, error) { return bpf.OpenSharedMap(name) })
	case KindObject:
		return s.openSharedObject(name)
	}
	return 0, fmt.Errorf("open shared %s: %w: only maps and objects can be shared", name, ErrArgument)
}

func (s *Session) openSharedObject(name string) (int32, error) {
	list := s.opts.Shared
	var found *sharedObject
	if list != nil {
		list.mu.Lock()
		if found = list.objects[name]; found != nil {
			found.refs++
		}
		list.mu.Unlock()
	}
	if found == nil {
		return 0, fmt.Errorf("open shared object %s: %w: nothing is shared under that name", name, bpf.ErrNotFound)
	}
	o := &Object{spec: found.spec, loaded: found.obj, share: found}
	closer := func() error { return s.closeObject(o) }
	h, err := s.opened(cost{}, func() (any, func() error, error) { return o, closer, nil })
	if err != nil {
		return 0, errors.Join(err, closer())
	}
	return h, nil
}

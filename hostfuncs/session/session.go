// Package session holds what one guest instance has open in the kernel, and does what the import modules ask for: it is the same
// for every module of the host interface. The modules decode and answer; handles, budgets, translation of handles into
// descriptors and the order of closing are here.
//
// A Session is used by one goroutine at a time, the guest's own.
package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/policy"
)

// Errors that callers branch on, besides those of package bpf.
var (
	// ErrHandle says that a handle is not open, or names an object of another kind.
	ErrHandle = errors.New("no such handle")
	// ErrTooMany says that the plugin has as many handles or files open as it may.
	ErrTooMany = errors.New("too many are open")
	// ErrLoaded says that an operation comes too late: the object is loaded.
	ErrLoaded = errors.New("the object is loaded already")
	// ErrNotLoaded says that an operation comes too early.
	ErrNotLoaded = errors.New("the object is not loaded yet")
	// ErrArgument says that a number or a text makes no sense here.
	ErrArgument = errors.New("bad argument")
	// ErrReadOnly says that something cannot be written any more.
	ErrReadOnly = errors.New("read-only")
	// ErrInterrupted says that the host is stopping the instance.
	ErrInterrupted = errors.New("the plugin is being stopped")
	// ErrRoom says that a buffer is too small for what has to be whole.
	ErrRoom = errors.New("the buffer is too small")
	// ErrKind says that objects of this kind do not have the operation, or not on this host.
	ErrKind = errors.New("wrong kind of object")
	// ErrExists says that a name is taken.
	ErrExists = errors.New("the name is taken")
)

// Defaults of [Options]; those of the limits are in package policy.
const (
	// DefaultHostMemory has room for objects with the largest data that one may have.
	DefaultHostMemory = 256 << 20
	// DefaultPinPath is our folder in the BPF file system.
	DefaultPinPath = "/sys/fs/bpf/bowline"
)

// Options say what a session may use. Limits that are zero have the default of [policy.DefaultLimits].
type Options struct {
	// Budget is what the sessions of one plugin use together. Nil means that this one has its own, of the limits that follow.
	Budget *Budget
	// MapMemory is how many bytes of kernel memory the maps may take at a time.
	MapMemory uint64
	// Programs is how many programs may be in the kernel at a time, Links how many links, Rings how many ring buffers and perf arrays
	// may have a reader, Files how many descriptors the plugin may make this process hold, Handles how many handles may be open.
	Programs, Links, Rings, Files, Handles int
	// HostMemory is how many bytes of this process's memory BPF objects and logs of the verifier may take at a time. Zero means
	// DefaultHostMemory.
	HostMemory uint64
	// Names are local names: a plugin attaches to "uplink", and the box says that this is eth1. They stand for interfaces,
	// cgroups, files and network namespaces.
	Names map[string]string
	// Shared are the objects that instances of this process share. Nil means that none can be shared.
	Shared *Shared
	// Guard decides what the plugin may do. Nil grants nothing.
	Guard Guard
	// Watch is told of every decision of the Guard; the error is nil if it allowed. Nil tells nobody.
	Watch func(policy.Action, error)
	// Closing is called before a handle is closed, and what it answers after that. Nil is nothing.
	Closing func() (done func())
	// PinPath is the folder for pins, which must be in a BPF file system. Empty means DefaultPinPath.
	PinPath string
}

// Session is what one instance has open. It owns all of it.
type Session struct {
	opts    Options
	budget  *Budget
	handles hostfuncs.Handles[*entry]
	open    []*entry // in the order of opening
	links   map[*bpf.Link]*linkUse
	alone   map[*bpf.Program]*alone
}

// entry is one open handle.
type entry struct {
	handle int32
	value  any
	cost   cost // given back when it is closed
	close  func() error
}

// New makes a session. It opens nothing yet.
func New(opts Options) *Session {
	opts.defaults()
	if opts.Budget == nil {
		opts.Budget = NewBudget(opts)
	}
	return &Session{opts: opts, budget: opts.Budget, links: map[*bpf.Link]*linkUse{}, alone: map[*bpf.Program]*alone{}}
}

// opened gives a handle to what open opens, at a cost that is taken before. The cost is given back when the handle is closed.
func (s *Session) opened(c cost, open func() (value any, closer func() error, err error)) (int32, error) {
	c[handles]++
	if err := s.budget.take(c); err != nil {
		return 0, err
	}
	value, closer, err := open()
	if err != nil {
		s.budget.give(c)
		return 0, err
	}
	return s.add(value, c, closer)
}

// add gives a handle to an open thing whose cost was taken. When there are no numbers left it closes the thing.
func (s *Session) add(value any, c cost, closer func() error) (int32, error) {
	e := &entry{value: value, cost: c, close: closer}
	if h, ok := s.handles.Add(e); ok {
		e.handle = h
		s.open = append(s.open, e)
		return h, nil
	}
	return 0, errors.Join(fmt.Errorf("%w: %d, and there are no numbers left; close some", ErrTooMany, len(s.open)), s.end(e))
}

// Close gives one handle up.
func (s *Session) Close(handle int32) error {
	e, ok := s.handles.Remove(handle)
	if !ok {
		return noHandle(handle, "object")
	}
	s.open = slices.DeleteFunc(s.open, func(x *entry) bool { return x == e })
	if s.opts.Closing != nil {
		defer s.opts.Closing()()
	}
	return s.end(e)
}

// end closes what a handle was of, and gives its cost back.
func (s *Session) end(e *entry) error {
	var err error
	if e.close != nil {
		err = e.close()
	}
	s.budget.give(e.cost)
	return err
}

// End closes everything, newest first; links before all else, because many together take a fraction of the time. The session is empty
// afterwards.
func (s *Session) End() error {
	errs := []error{s.closeLinks()}
	for _, e := range slices.Backward(s.open) {
		s.handles.Remove(e.handle)
		errs = append(errs, s.end(e))
	}
	s.open = nil
	return errors.Join(errs...)
}

// Memory answers how many bytes of kernel memory the maps of the plugin may still take.
func (s *Session) Memory() uint64 { return s.budget.reap() }

// Budget is what the plugin may use and uses.
func (s *Session) Budget() *Budget { return s.budget }

// Open reports how many handles are open.
func (s *Session) Open() int { return len(s.open) }

// Closed reports whether a handle was given out at some time and is not open any more.
func (s *Session) Closed(handle int32) bool {
	_, open := s.handles.Get(handle)
	return !open && s.handles.Known(handle)
}

// get finds an open thing of one kind.
func get[T any](s *Session, handle int32, kind string) (T, error) {
	if e, ok := s.handles.Get(handle); ok {
		if v, ok := e.value.(T); ok {
			return v, nil
		}
	}
	var zero T
	return zero, noHandle(handle, kind)
}

// Any says whether a handle is open, of whichever kind: nil, or an error that matches [ErrHandle].
func (s *Session) Any(handle int32) error {
	_, err := get[any](s, handle, "object")
	return err
}

// noHandle says which kind was wanted.
func noHandle(handle int32, kind string) error {
	return fmt.Errorf("%w: %#x is not an open %s of this plugin", ErrHandle, uint32(handle), kind)
}

// name answers what a local name stands for, or the name itself.
func (s *Session) name(n string) string {
	if real, ok := s.opts.Names[n]; ok {
		return real
	}
	return n
}

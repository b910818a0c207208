// Package session holds what one guest instance has open in the kernel, and does what the import modules ask for: it is the same
// for every module of the host interface. The modules decode and answer; handles, budgets, translation of handles into
// descriptors and the order of closing are here.
//
// A Session is used by one goroutine at a time, the guest's own.
package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/policy"
)

// Errors that callers branch on, besides those of package bpf.
var (
	// ErrHandle says that a handle is not open, or names an object of another kind.
	ErrHandle = errors.New("no such handle")
	// ErrTooMany says that the instance has as many handles open as it may.
	ErrTooMany = errors.New("too many handles are open")
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

// Defaults of [Options].
const (
	// DefaultMapMemory suits a box with 512 MB.
	DefaultMapMemory = 32 << 20
	// DefaultHostMemory has room for objects with the largest data that one may have.
	DefaultHostMemory = 256 << 20
	// DefaultHandles leaves room for other plugins in a process that may open 4096 files or more.
	DefaultHandles = 1024
	// DefaultPinPath is our folder in the BPF file system.
	DefaultPinPath = "/sys/fs/bpf/bowline"
)

// Options say what a session may use. The zero value has the defaults.
type Options struct {
	// MapMemory is how many bytes of kernel memory the maps may take at a time. Zero means DefaultMapMemory.
	MapMemory uint64
	// HostMemory is how many bytes of this process's memory BPF objects and logs of the verifier may take at a time. Zero means
	// DefaultHostMemory.
	HostMemory uint64
	// Handles is how many handles may be open at a time. Zero means DefaultHandles.
	Handles int
	// Names are local names: a plugin attaches to "uplink", and the box says that this is eth1. They stand for interfaces,
	// cgroups, files and network namespaces.
	Names map[string]string
	// Shared are the objects that instances of this process share. Nil means that none can be shared.
	Shared *Shared
	// Guard decides what the plugin may do. Nil grants nothing.
	Guard Guard
	// Watch is told of every decision of the Guard; the error is nil if it allowed. Nil tells nobody.
	Watch func(policy.Action, error)
	// PinPath is the folder for pins, which must be in a BPF file system. Empty means DefaultPinPath.
	PinPath string
}

// Session is what one instance has open. It owns all of it.
type Session struct {
	opts    Options
	memory  uint64 // what is left of MapMemory
	host    uint64 // what is used of HostMemory
	kept    bool   // maps may outlive their handles
	closed  []closedMap
	shares  int
	handles hostfuncs.Handles[*entry]
	open    []*entry // in the order of opening
}

// entry is one open handle.
type entry struct {
	handle int32
	value  any
	close  func() error
}

// New makes a session. It opens nothing yet.
func New(opts Options) *Session {
	opts.MapMemory = cmp.Or(opts.MapMemory, DefaultMapMemory)
	opts.HostMemory = cmp.Or(opts.HostMemory, DefaultHostMemory)
	opts.Handles = min(cmp.Or(opts.Handles, DefaultHandles), hostfuncs.MaxHandles)
	opts.PinPath = cmp.Or(opts.PinPath, DefaultPinPath)
	return &Session{opts: opts, memory: opts.MapMemory}
}

// add gives a handle to an open thing. When there is no room it closes the thing.
func (s *Session) add(value any, closer func() error) (int32, error) {
	e := &entry{value: value, close: closer}
	if len(s.open) < s.opts.Handles {
		if h, ok := s.handles.Add(e); ok {
			e.handle = h
			s.open = append(s.open, e)
			return h, nil
		}
	}
	err := fmt.Errorf("%w: %d, which is the limit; close some", ErrTooMany, len(s.open))
	if closer != nil {
		err = errors.Join(err, closer())
	}
	return 0, err
}

// Close gives one handle up.
func (s *Session) Close(handle int32) error {
	e, ok := s.handles.Remove(handle)
	if !ok {
		return noHandle(handle, "object")
	}
	s.open = slices.DeleteFunc(s.open, func(x *entry) bool { return x == e })
	return e.end()
}

func (e *entry) end() error {
	if e.close == nil {
		return nil
	}
	return e.close()
}

// End closes everything, newest first. The session is empty afterwards.
func (s *Session) End() error {
	var errs []error
	for _, e := range slices.Backward(s.open) {
		s.handles.Remove(e.handle)
		errs = append(errs, e.end())
	}
	s.open = nil
	return errors.Join(errs...)
}

// Memory answers how many bytes of kernel memory the maps may still take.
func (s *Session) Memory() uint64 { return s.memory }

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

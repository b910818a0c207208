package wasmbpf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// maxName bounds the strings that a guest passes: names of programs and maps,
// and targets, which may be paths.
const maxName = 4096

// object is one loaded BPF object of a guest.
type object struct {
	obj    *bpf.Object
	owner  *session.Object
	handle int32
	maps   map[string]*mapHandle
	rings  []*mapHandle // with an open reader, in the order of opening
	// polls counts the polls under way; an object that the guest closes from
	// inside its own callback is closed when the last of them returns.
	polls  int
	closed bool
}

// load is wasm_load_bpf_object(buf, len) -> object. It answers 0 when the bytes
// do not lie in memory, are not a BPF object, the kernel refuses it, or too many
// objects are open. The reason goes to the host's log, because the
// interface has no place for it.
func (s *instance) load(_ context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	elf, ok := hostfuncs.Bytes(in.Memory(), uint32(stack[0]), uint32(stack[1]))
	if !ok {
		s.env.Report("load BPF object", fmt.Errorf("buffer of %d bytes at %#x lies outside the plugin's memory: %w", uint32(stack[1]), uint32(stack[0]), unix.EFAULT))
		return 0, nil
	}
	o, err := s.open(elf)
	s.env.Report("load BPF object", err)
	if err != nil {
		return 0, nil
	}
	return uint64(o.handle), nil
}

func (s *instance) open(elf []byte) (*object, error) {
	handle, err := s.s.OpenObject(elf)
	if err != nil {
		return nil, err
	}
	owner, err := s.s.Object(handle)
	if err == nil {
		err = s.s.Load(owner, bpf.LoadOptions{})
	}
	if err != nil {
		return nil, errors.Join(err, s.s.Close(handle))
	}
	loaded, err := owner.Loaded()
	if err != nil {
		return nil, err
	}
	o := &object{obj: loaded, owner: owner, handle: handle, maps: map[string]*mapHandle{}}
	s.objects[handle] = o
	return o, nil
}

// object answers the open object of an i64 handle.
func (s *instance) object(handle uint64) (*object, bool) {
	if handle > 1<<31-1 {
		return nil, false
	}
	o, ok := s.objects[int32(handle)]
	return o, ok
}

// closeObject is wasm_close_bpf_object(object) -> 0. It detaches the object's
// programs and closes its maps. Closing twice is no error; EINVAL for a
// handle that never was one.
func (s *instance) closeObject(_ context.Context, _ engine.Instance, stack []uint64) (uint64, error) {
	o, ok := s.object(stack[0])
	if !ok {
		if stack[0] <= 1<<31-1 && s.s.Closed(int32(stack[0])) {
			return 0, nil
		}
		return fail(unix.EINVAL), nil
	}
	if err := s.drop(o); err != nil {
		s.env.Log(err.Error())
	}
	return 0, nil
}

// drop takes the object's handles away, and closes it unless a poll is using it.
func (s *instance) drop(o *object) error {
	delete(s.objects, o.handle)
	var errs []error
	for _, m := range o.maps {
		errs = append(errs, s.s.Close(m.handle))
	}
	o.closed = true
	if o.polls == 0 {
		errs = append(errs, s.finish(o))
	}
	return errors.Join(errs...)
}

// finish closes a dropped object: its readers, then links, programs and maps.
func (s *instance) finish(o *object) error {
	return errors.Join(s.closeReaders(o), s.s.Close(o.handle))
}

func (s *instance) closeReaders(o *object) error {
	var errs []error
	for _, m := range slices.Backward(o.rings) {
		s.reportLoss(m, time.Time{})
		errs = append(errs, m.events.Close())
	}
	o.rings = nil
	return errors.Join(errs...)
}

// Close closes all objects that the guest left open, newest first.
func (s *instance) Close() error {
	var errs []error
	for _, o := range s.objects {
		errs = append(errs, s.closeReaders(o))
	}
	clear(s.objects)
	return errors.Join(append(errs, s.s.End())...)
}

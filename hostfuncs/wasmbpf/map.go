package wasmbpf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// mapHandle is a map that the guest asked for.
type mapHandle struct {
	m      *bpf.Map
	object *object
	handle int32
	// descriptors says that the kernel takes keys or values as file descriptors.
	descriptors bool
	events      bpf.Events // opened by the first poll or, of a perf array, the first attach

	lost     uint64    // as last told
	lostTold time.Time // when
	cutTold  bool      // a record that was too long has been told
}

// mapByName is wasm_bpf_map_fd_by_name(object, name) -> handle, the same one
// whenever it is asked for. EINVAL: not an object, no such map, or a name outside memory.
// EMFILE: too many handles.
func (s *instance) mapByName(_ context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	o, ok := s.object(stack[0])
	if !ok {
		return s.refuse("find map", unix.EINVAL, "%#x is not an open BPF object", stack[0])
	}
	name, ok := hostfuncs.CString(in.Memory(), uint32(stack[1]), maxName)
	if !ok {
		return s.refuse("find map", unix.EINVAL, "the map's name at %#x is no string in the plugin's memory", uint32(stack[1]))
	}
	h, err := s.handle(o, name)
	switch {
	case errors.Is(err, bpf.ErrNotFound):
		s.env.Report("find map "+name, err)
		return fail(unix.EINVAL), nil
	case err != nil:
		s.env.Report("find map "+name, err)
		return fail(hostfuncs.Errno(err)), nil
	}
	return uint64(h.handle), nil
}

// handle answers the one handle that a map of an object has.
func (s *instance) handle(o *object, name string) (*mapHandle, error) {
	if h, ok := o.maps[name]; ok {
		return h, nil
	}
	m, err := o.obj.Map(name)
	if err != nil {
		return nil, err
	}
	h := &mapHandle{m: m, object: o, descriptors: takesDescriptors(m.Type())}
	var ok bool
	if h.handle, ok = s.maps.Add(h); !ok {
		return nil, fmt.Errorf("%d map handles are open, which is the limit: %w", hostfuncs.MaxHandles, unix.EMFILE)
	}
	o.maps[name] = h
	return h, nil
}

// The commands of wasm_bpf_map_operate, which are those of bpf(2).
const (
	cmdLookup  = 1
	cmdUpdate  = 2
	cmdDelete  = 3
	cmdNextKey = 4
)

// mapOperate is wasm_bpf_map_operate(map, cmd, key, value, next_key, flags) -> 0:
// one system call on the guest's own bytes. A null key of next_key asks for the
// first one.
//
// EBADFD: not a map. EINVAL: an unknown command. EFAULT: a null pointer, or a
// buffer outside memory. EOPNOTSUPP: a per-CPU map without a CPU in the flags,
// see [perCPU]. Else what the kernel said: ENOENT, EEXIST, E2BIG, ...
func (s *instance) mapOperate(_ context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	h, ok := s.maps.Get(int32(uint32(stack[0])))
	if !ok {
		return fail(unix.EBADFD), nil
	}
	cmd, flags := uint32(stack[1]), stack[5]
	mem, m := in.Memory(), h.m
	key, keyOK := field(mem, stack[2], m.KeySize())
	if !keyOK && !(cmd == cmdNextKey && stack[2] == 0) {
		return badPointer(cmd), nil
	}
	if m.PerCPU() && (cmd == cmdLookup || cmd == cmdUpdate) {
		return s.perCPU(h, cmd, mem, key, stack[3], flags), nil
	}
	var err error
	switch cmd {
	case cmdLookup, cmdUpdate:
		value, ok := field(mem, stack[3], m.ValueSize())
		if ok && h.descriptors {
			var no unix.Errno
			if value, no = s.resolve(h, cmd, value); no != 0 {
				return fail(no), nil
			}
		}
		switch {
		case !ok:
			err = unix.EFAULT
		case cmd == cmdLookup:
			err = m.LookupInto(key, value, flags)
		default:
			err = m.Update(key, value, flags)
		}
	case cmdDelete:
		if h.descriptors {
			if _, no := s.resolve(h, cmd, nil); no != 0 {
				return fail(no), nil
			}
		}
		err = m.Delete(key)
	case cmdNextKey:
		next, ok := field(mem, stack[4], m.KeySize())
		if !ok {
			return fail(unix.EFAULT), nil
		}
		err = m.NextKeyInto(key, next)
	default:
		err = unix.EINVAL
	}
	return fail(hostfuncs.Errno(err)), nil
}

// field is a key or value in guest memory: nil for a size of zero (the keys of
// queues and stacks), and not there for a null pointer, because a C program
// means nothing by it.
func field(mem []byte, ptr uint64, size int) ([]byte, bool) {
	switch {
	case size == 0:
		return nil, true
	case ptr == 0 || ptr > 1<<32-1:
		return nil, false
	}
	return hostfuncs.Bytes(mem, uint32(ptr), uint32(size))
}

// badPointer is EFAULT, but EINVAL for a command that does not exist, whose
// pointers nobody looks at.
func badPointer(cmd uint32) uint64 {
	if cmd < cmdLookup || cmd > cmdNextKey {
		return fail(unix.EINVAL)
	}
	return fail(unix.EFAULT)
}

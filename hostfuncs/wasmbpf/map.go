package wasmbpf

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// mapHandle is a map that the guest asked for.
type mapHandle struct {
	m      *session.Map
	object *object
	handle int32
	events bpf.Events // opened by the first poll or, of a perf array, the first attach

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
	handle, err := s.s.ObjectMap(o.owner, name)
	if err != nil {
		return nil, err
	}
	m, err := s.s.Map(handle)
	if err != nil {
		return nil, err
	}
	h := &mapHandle{m: m, object: o, handle: handle}
	o.maps[name] = h
	return h, nil
}

// mapOf answers the map of an object that has a handle.
func (o *object) mapOf(handle int32) (*mapHandle, bool) {
	for _, h := range o.maps {
		if h.handle == handle {
			return h, true
		}
	}
	return nil, false
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
// see [instance.refused]. Else what the kernel said: ENOENT, EEXIST, E2BIG, ...
func (s *instance) mapOperate(_ context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	m, err := s.s.Map(int32(uint32(stack[0])))
	if err != nil {
		return fail(unix.EBADFD), nil
	}
	cmd, flags := uint32(stack[1]), stack[5]
	mem := in.Memory()
	key, keyOK := field(mem, stack[2], m.KeySize())
	if !keyOK && !(cmd == cmdNextKey && stack[2] == 0) {
		return badPointer(cmd), nil
	}
	if no := s.refused(m, cmd, flags); no != 0 {
		return fail(no), nil
	}
	switch cmd {
	case cmdLookup, cmdUpdate:
		size := m.ValueSize()
		if m.PerCPU() {
			size = m.CPUValueSize()
		}
		value, ok := field(mem, stack[3], size)
		switch {
		case !ok:
			err = unix.EFAULT
		case cmd == cmdUpdate && namesProgram(m, value):
			err = unix.EOPNOTSUPP
		case cmd == cmdLookup:
			err = s.s.Lookup(m, key, value, flags)
		default:
			err = s.s.Update(m, key, value, flags)
		}
	case cmdDelete:
		err = s.s.Delete(m, key)
	case cmdNextKey:
		next, ok := field(mem, stack[4], m.KeySize())
		if !ok {
			return fail(unix.EFAULT), nil
		}
		err = m.NextKeyInto(key, next)
	default:
		err = unix.EINVAL
	}
	return fail(errno(err)), nil
}

// errno is the error number of a map operation.
func errno(err error) unix.Errno {
	switch {
	case errors.Is(err, session.ErrHandle):
		return unix.EBADFD
	case errors.Is(err, bpf.ErrType):
		return unix.EOPNOTSUPP
	}
	return hostfuncs.Errno(err)
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

package bpf

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// ValuesAreFDs reports whether values to write hold file descriptors of this process, as those of program arrays, maps of maps and
// socket maps do, and those of device and CPU maps that take a program beside the number. A caller that lets others choose the
// bytes must use the Put methods instead.
func (m *Map) ValuesAreFDs() bool {
	switch m.typ {
	case ebpf.SockMap, ebpf.SockHash, ebpf.ReusePortSockArray, ebpf.XSKMap:
		return true
	case ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap:
		return m.valueSize > 4
	}
	return holdsFDs(m.typ)
}

// KeysAreFDs reports whether keys are file descriptors of this process, as those of storage are. Use [Map.LookupOwner] and its
// siblings there.
func (m *Map) KeysAreFDs() bool {
	switch m.typ {
	case ebpf.SkStorage, ebpf.InodeStorage, ebpf.TaskStorage, ebpf.CgroupStorage:
		return true
	}
	return false
}

// wantType gives the error for a map of another type.
func (m *Map) wantType(step, what string, types ...ebpf.MapType) error {
	if slices.Contains(types, m.typ) {
		return nil
	}
	return fmt.Errorf("%s map %s: %w: it is a %s, not %s", step, m.name, ErrType, m.typ, what)
}

// PutProgram stores a program in a program array. flags are those of [Map.Update]. All programs of an array must be of one type
// and attach type, and not use others' frames: else the error unwraps to EINVAL. The array keeps the program.
func (m *Map) PutProgram(key []byte, p *Program, flags uint64) error {
	if err := m.wantType("put program into", "a program array", ebpf.ProgramArray); err != nil {
		return err
	}
	return p.withFD(func(fd int) error { return m.putFD(key, fd, flags) })
}

// PutForward stores where a device or CPU map leads: value is the interface index, or the length of the CPU's queue, in four
// bytes, and p is an XDP program to run there, or nil for none. With a program the map's values must have eight bytes
// (Linux 5.8 for devices, 5.9 for CPUs); else the error matches [ErrSize]. Interfaces are those of the network namespace of the
// calling thread.
func (m *Map) PutForward(key, value []byte, p *Program, flags uint64) error {
	if err := m.wantType("put into", "a device or CPU map", ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap); err != nil {
		return err
	}
	if len(key) != m.keySize || len(value) != 4 || m.valueSize != 4 && m.valueSize != 8 {
		return fmt.Errorf("put into map %s: %w: key of %d bytes, not %d, or value of %d, not 4", m.name, ErrSize, len(key), m.keySize, len(value))
	}
	var buf [8]byte
	copy(buf[:], value)
	put := func(fd int) error {
		binary.NativeEndian.PutUint32(buf[4:], uint32(fd))
		return m.do(opUpdate, unix.BPF_MAP_UPDATE_ELEM, unsafe.SliceData(key), &buf[0], flags)
	}
	if p == nil {
		return put(0) // no program, to the kernel
	}
	if m.valueSize != 8 {
		return fmt.Errorf("put into map %s: %w: values of %d bytes have no room for a program, make them 8", m.name, ErrSize, m.valueSize)
	}
	return p.withFD(put)
}

// PutMap stores a map in an array or a hash of maps. It must be like the example that the outer map was made with, else the error
// unwraps to EINVAL. The outer map keeps the inner one.
func (m *Map) PutMap(key []byte, inner *Map, flags uint64) error {
	if err := m.wantType("put map into", "an array or a hash of maps", ebpf.ArrayOfMaps, ebpf.HashOfMaps); err != nil {
		return err
	}
	if !inner.use.enter() {
		return inner.closedError(opUpdate)
	}
	defer inner.leave()
	return m.putFD(key, int(inner.fd), flags)
}

// GetMap opens the map that an array or a hash of maps holds under a key. The caller closes it. It needs CAP_SYS_ADMIN, because the
// kernel answers a number ([ErrPermission]). A key without a map matches [ebpf.ErrKeyNotExist].
func (m *Map) GetMap(key []byte) (*Map, error) {
	if err := m.wantType("get map out of", "an array or a hash of maps", ebpf.ArrayOfMaps, ebpf.HashOfMaps); err != nil {
		return nil, err
	}
	var id [4]byte
	if err := m.LookupInto(key, id[:], 0); err != nil {
		return nil, err
	}
	return openMapID(ebpf.MapID(binary.NativeEndian.Uint32(id[:])), "")
}

// PutSocket stores a socket in a sockmap, a sockhash, a reuseport array or an XSK map. fd stays the caller's; the map does not
// keep the socket alive. What kinds of sockets fit depends on the type; others give an error that unwraps to EOPNOTSUPP or EINVAL.
func (m *Map) PutSocket(key []byte, fd int, flags uint64) error {
	if err := m.wantType("put socket into", "a sockmap, sockhash, reuseport array or XSK map",
		ebpf.SockMap, ebpf.SockHash, ebpf.ReusePortSockArray, ebpf.XSKMap); err != nil {
		return err
	}
	return m.putFD(key, fd, flags)
}

// PutCgroup stores a cgroup in a cgroup array, by a path like that of [Target].Cgroup.
func (m *Map) PutCgroup(key []byte, path string) error {
	if err := m.wantType("put cgroup into", "a cgroup array", ebpf.CGroupArray); err != nil {
		return err
	}
	dir, err := kernel.OpenCgroup(path)
	if err != nil {
		return fmt.Errorf("put cgroup into map %s: %w", m.name, err)
	}
	defer dir.Close()
	return m.putFD(key, int(dir.Fd()), 0)
}

// putFD stores a descriptor as a value, which has four bytes, or eight in some maps of sockets.
func (m *Map) putFD(key []byte, fd int, flags uint64) error {
	if len(key) != m.keySize || m.valueSize > 8 {
		return m.sizeError(opUpdate, key, nil)
	}
	var value [8]byte
	if m.valueSize == 8 {
		binary.NativeEndian.PutUint64(value[:], uint64(fd))
	} else {
		binary.NativeEndian.PutUint32(value[:], uint32(fd))
	}
	return m.do(opUpdate, unix.BPF_MAP_UPDATE_ELEM, unsafe.SliceData(key), &value[0], flags)
}

// withFD keeps the program's descriptor open while f uses it.
func (p *Program) withFD(f func(fd int) error) error {
	if !p.enter() {
		return p.closedError("use")
	}
	defer p.leave()
	return f(p.fd)
}

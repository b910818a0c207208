package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// Owner is what a value of a storage map belongs to. The map's type says which field counts. The value goes with its owner.
type Owner struct {
	// Socket is a descriptor of a socket (type SkStorage, Linux 5.2). It stays the caller's.
	Socket int
	// PID is a process (type TaskStorage, Linux 5.11); zero means this one.
	PID int
	// Path is a file or a directory (type InodeStorage, Linux 5.10 with the BPF LSM on: else the error matches
	// [ErrUnsupported]).
	Path string
	// Cgroup is a cgroup, by a path like that of [Target].Cgroup (type CgroupStorage, Linux 6.2).
	Cgroup string
}

// LookupOwner copies the value of an owner into value, which has [Map.ValueSize] bytes. A missing one matches
// [ebpf.ErrKeyNotExist]. The error matches [ErrType] for maps that are no storage.
func (m *Map) LookupOwner(o Owner, value []byte, flags uint64) error {
	return m.withOwner(o, func(key []byte) error { return m.LookupInto(key, value, flags) })
}

// UpdateOwner sets the value of an owner. flags are those of [Map.Update].
func (m *Map) UpdateOwner(o Owner, value []byte, flags uint64) error {
	return m.withOwner(o, func(key []byte) error { return m.Update(key, value, flags) })
}

// DeleteOwner removes the value of an owner. A missing one matches [ebpf.ErrKeyNotExist].
func (m *Map) DeleteOwner(o Owner) error { return m.withOwner(o, m.Delete) }

// withOwner opens what the map's keys name.
func (m *Map) withOwner(o Owner, f func(key []byte) error) error {
	if err := m.wantType("use storage", "storage of sockets, tasks, files or cgroups",
		ebpf.SkStorage, ebpf.TaskStorage, ebpf.InodeStorage, ebpf.CgroupStorage); err != nil {
		return err
	}
	fd, file, err := m.openOwner(o)
	if err != nil {
		return fmt.Errorf("use storage map %s: %w", m.name, err)
	}
	if file != nil {
		defer file.Close()
	}
	return m.WithOwnerFD(fd, f)
}

// WithOwnerFD gives f the key for an owner of which the caller has a descriptor: a socket, a pidfd, a file or the directory of a cgroup, as
// the type of storage wants it. It says so when it is the kernel that has no storage for files ([ErrUnsupported]).
func (m *Map) WithOwnerFD(fd int, f func(key []byte) error) error {
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], uint32(fd))
	err := f(key[:])
	if m.typ == ebpf.InodeStorage && errors.Is(err, unix.EBADF) {
		if lsm := kernel.BPFLSM(); lsm != nil { // files have no room for it then
			return &UnsupportedError{Feature: "storage map " + m.name, Reason: "files have storage only with the BPF LSM", Need: lsm.Error(), Cause: err}
		}
	}
	return err
}

// openOwner returns the descriptor, and what is to be closed afterwards.
func (m *Map) openOwner(o Owner) (int, *os.File, error) {
	var file *os.File
	switch m.typ {
	case ebpf.SkStorage:
		return o.Socket, nil, nil
	case ebpf.TaskStorage:
		pid := o.PID
		if pid == 0 {
			pid = os.Getpid()
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return 0, nil, fmt.Errorf("open process %d: %w", pid, err)
		}
		file = os.NewFile(uintptr(fd), "pidfd")
	case ebpf.InodeStorage:
		fd, err := unix.Open(o.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != nil {
			return 0, nil, fmt.Errorf("open %q: %w", short(o.Path), err)
		}
		file = os.NewFile(uintptr(fd), "storage")
	default:
		var err error
		if file, err = kernel.OpenCgroup(o.Cgroup); err != nil {
			return 0, nil, err
		}
	}
	return int(file.Fd()), file, nil
}

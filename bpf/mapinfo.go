package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// MapInfo is what the kernel tells about a map.
type MapInfo struct {
	// ID is the kernel's number of the map, as bpftool shows it.
	ID uint32
	// Name is the name in the kernel: at most 15 characters.
	Name string
	// Type is the kernel's map type.
	Type ebpf.MapType
	// KeySize and ValueSize are in bytes as the map was made; ValueSize is that of one value.
	KeySize, ValueSize uint32
	// MaxEntries is the capacity in entries; of a ring buffer, in bytes; of an arena, in pages.
	MaxEntries uint32
	// Flags are the kernel's BPF_F_* map flags.
	Flags uint32
	// Values is the number of values in an entry: the possible CPUs for per-CPU maps, else one.
	Values int
	// Frozen says that user space cannot write to the map any more.
	Frozen bool
	// Memlock is how many bytes of memory the kernel says the map takes; zero if it does not say. From Linux 6.4 on it is what the
	// map uses now, before it was worked out when the map was made.
	Memlock uint64
}

// Info asks the kernel about the map. Requires at least Linux 4.13.
func (m *Map) Info() (MapInfo, error) {
	if !m.use.enter() {
		return MapInfo{}, fmt.Errorf("info of map %s: %w", m.name, os.ErrClosed)
	}
	defer m.leave()
	info, err := m.m.Info()
	if err != nil {
		return MapInfo{}, fmt.Errorf("info of map %s: %w", m.name, err)
	}
	out := MapInfo{
		Name: info.Name, Type: info.Type, KeySize: info.KeySize, ValueSize: info.ValueSize,
		MaxEntries: info.MaxEntries, Flags: info.Flags, Values: 1, Frozen: info.Frozen(),
	}
	if id, ok := info.ID(); ok {
		out.ID = uint32(id)
	}
	if n, ok := info.Memlock(); ok {
		out.Memlock = n
	}
	if perCPU(m.typ) {
		if out.Values, err = ebpf.PossibleCPU(); err != nil {
			return MapInfo{}, fmt.Errorf("info of map %s: count the possible CPUs: %w", m.name, err)
		}
	}
	return out, nil
}

// Freeze forbids user space to change the map from now on, for ever; programs still may. Requires at least Linux 5.2. The error
// matches [ErrUnsupported] for types that cannot be frozen and before, [ErrBusy] if the map is frozen already or memory of it is
// mapped to be written, and [ErrPermission] if the map was opened to be read only.
func (m *Map) Freeze() error {
	if !m.use.enter() {
		return fmt.Errorf("freeze map %s: %w", m.name, os.ErrClosed)
	}
	defer m.leave()
	err := m.m.Freeze()
	if err == nil {
		return nil
	}
	if info, ierr := m.m.Info(); ierr == nil && info.Frozen() {
		return fmt.Errorf("freeze map %s: %w: it is frozen already: %w", m.name, ErrBusy, err)
	}
	switch {
	case errors.Is(err, unix.EPERM):
		return &PermissionError{What: "freeze map " + m.name, Capability: "a map that was opened to be written, too", Cause: err}
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("freeze map %s: %w: its memory is mapped to be written: %w", m.name, ErrBusy, err)
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("freeze: %w", &UnsupportedError{Feature: "map " + m.name, Reason: "cannot be frozen", Need: "Linux 5.2 and another type than " + m.typ.String(), Cause: err})
	}
	return fmt.Errorf("freeze map %s: %w", m.name, err)
}

package bpf

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// How maps are shared by name between processes.
//
// The kernel's own table of maps is the register; there is no file and no daemon. Everybody who shares a map holds, beside it, a
// marker: an array of maps with one entry, which is the shared map. The marker's kernel name is made from a hash of the share's
// name, so that others find it by walking the kernel's numbers. The kernel frees the marker, and with it the last hold on the shared
// map, when the last process closes it or dies, however it dies.
//
// Two processes that share under one name at the same time both make an empty marker first and look for others then. Numbers grow,
// so that the later one sees the earlier one's, whose number is smaller, and gives up; a marker that is filled wins over any other.

// Shared is a map that other processes can open by name. It keeps the map in the kernel, too.
type Shared struct {
	name   string
	marker *ebpf.Map
	once   sync.Once
	err    error
}

// maxShareName bounds names of shares, in bytes.
const maxShareName = 255

// ShareMap lets other processes open a map by name with [OpenSharedMap], as long as the Shared, or any map that was opened, is open
// in any process. The map stays the caller's and may be closed. It needs CAP_SYS_ADMIN ([ErrPermission]). A name that is taken
// matches [os.ErrExist]. Requires at least Linux 5.10. Maps of maps, program arrays and arenas cannot be shared: the error matches
// [ErrType].
func ShareMap(name string, m *Map) (*Shared, error) {
	fail := func(err error) (*Shared, error) {
		return nil, fmt.Errorf("share map %s as %q: %w", m.name, short(name), err)
	}
	if len(name) == 0 || len(name) > maxShareName {
		return fail(fmt.Errorf("%w: a name of %d bytes, not 1 to %d", ErrSize, len(name), maxShareName))
	}
	if !m.use.enter() {
		return fail(os.ErrClosed)
	}
	defer m.leave()
	s := &Shared{name: name}
	var err error
	if s.marker, err = createOuter(&ebpf.MapSpec{Name: markerName(name), Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1}, m); err != nil {
		return fail(shareRefused(m, err))
	}
	if err := s.claim(m); err != nil {
		return fail(errors.Join(err, s.marker.Close()))
	}
	return s, nil
}

// claim fills the marker if nobody else has the name.
func (s *Shared) claim(m *Map) error {
	own := kernelMapID(s.marker)
	err := eachMarker(s.name, func(id ebpf.MapID, marker *ebpf.Map) (bool, error) {
		if uint64(id) != own && (uint64(id) < own || sharedID(marker) != 0) {
			return false, fmt.Errorf("%w: it is taken", os.ErrExist)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := s.marker.Put(uint32(0), m.fd); err != nil {
		return err
	}
	_ = s.marker.Freeze() // so that no other process puts another map in its place; not on all kernels
	return nil
}

// Name returns the name of the share.
func (s *Shared) Name() string { return s.name }

// Close ends this hold on the share. Other processes that have it open go on; with the last one it ends. It is idempotent.
func (s *Shared) Close() error {
	s.once.Do(func() {
		if err := s.marker.Close(); err != nil {
			s.err = fmt.Errorf("close share %q: %w", short(s.name), err)
		}
	})
	return s.err
}

// OpenSharedMap opens the map that some process has shared under a name. The caller closes it, and while it is open the share stays.
// It needs CAP_SYS_ADMIN ([ErrPermission]). A name that nobody shares matches [ErrNotFound].
func OpenSharedMap(name string) (*Map, error) {
	fail := func(err error) (*Map, error) { return nil, fmt.Errorf("open shared map %q: %w", short(name), err) }
	if len(name) == 0 || len(name) > maxShareName {
		return fail(fmt.Errorf("%w: a name of %d bytes, not 1 to %d", ErrSize, len(name), maxShareName))
	}
	var found *Map
	err := eachMarker(name, func(_ ebpf.MapID, marker *ebpf.Map) (bool, error) {
		id := sharedID(marker)
		if id == 0 {
			return true, nil // it is being made, or lost against another one
		}
		hold, err := marker.Clone()
		if err != nil {
			return false, err
		}
		m, err := openMapID(id, name)
		if err != nil {
			return false, errors.Join(err, hold.Close())
		}
		m.also = hold.Close
		found = m
		return false, nil
	})
	if err != nil {
		return fail(err)
	}
	if found == nil {
		return fail(fmt.Errorf("%w; no process shares a map under this name", ErrNotFound))
	}
	return found, nil
}

// eachMarker calls f for the markers of a name, by number, until it says that this is enough. f must not keep the marker.
func eachMarker(name string, f func(ebpf.MapID, *ebpf.Map) (more bool, err error)) error {
	want := markerName(name)
	for id := ebpf.MapID(0); ; {
		next, err := ebpf.MapGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return listRefused(err)
		}
		id = next
		m, err := ebpf.NewMapFromID(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return listRefused(err)
		}
		more := true
		if isMarker(m, want) {
			more, err = f(id, m)
		}
		if err = errors.Join(err, m.Close()); err != nil || !more {
			return err
		}
	}
}

func isMarker(m *ebpf.Map, name string) bool {
	if m.Type() != ebpf.ArrayOfMaps || m.KeySize() != 4 || m.MaxEntries() != 1 {
		return false
	}
	info, err := m.Info()
	return err == nil && info.Name == name
}

// sharedID is the number of the map in a marker, zero if it is empty.
func sharedID(marker *ebpf.Map) ebpf.MapID {
	var id uint32
	if marker.Lookup(uint32(0), &id) != nil {
		return 0
	}
	return ebpf.MapID(id)
}

// markerName is the kernel name of the markers of a share: 12 characters of a hash, about 71 bits.
func markerName(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(name))
	out := []byte("bl_")
	for i := range 12 {
		out = append(out, digits[binary.LittleEndian.Uint16(sum[2*i:])%uint16(len(digits))])
	}
	return string(out)
}

// listRefused explains why the kernel's table of maps cannot be read.
func listRefused(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return outOfFiles(err)
	}
	if e := lacks("list maps", []kernel.Cap{kernel.CapSysAdmin}, err); e != nil {
		return e
	}
	return &PermissionError{What: "list maps", Capability: kernel.CapSysAdmin.String(), Cause: err}
}

// shareRefused explains why no marker can be made for a map.
func shareRefused(m *Map, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return listRefused(err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, enotsupp):
		return fmt.Errorf("%w: maps of type %s cannot be shared by name: %w", ErrType, m.typ, err)
	}
	return outOfFiles(err)
}

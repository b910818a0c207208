package bpf

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// How maps are shared by name between processes.
//
// The kernel's own table of programs is the register; there is no file and no daemon. Everybody who shares a map holds, beside it, a
// marker: a program that does nothing and never runs, to which the shared map is bound. The marker's kernel name is made from a hash
// of the share's name, so that others find it by walking the kernel's numbers. The kernel frees the marker, and with it the last hold
// on the shared map, when the last process closes it or dies, however it dies.
//
// Two processes that share under one name at the same time both make an empty marker first and look for others then. Numbers grow,
// so that the later one sees the earlier one's, whose number is smaller, and gives up; a marker with a map wins over any other.
//
// Why the marker is a program: to find a map by its name one has to open every map of the machine, and the kernel (6.18 too) never
// frees a program array that is opened and closed while the work of its last close waits. Opening programs does no harm.

// Shared is a map that other processes can open by name. It keeps the map in the kernel, too.
type Shared struct {
	name   string
	marker *ebpf.Program
	m      *ebpf.Map // so that a program array is not emptied
	once   sync.Once
	err    error
}

// maxShareName bounds names of shares, in bytes.
const maxShareName = 255

// ShareMap lets other processes open a map by name with [OpenSharedMap], as long as the Shared, or any map that was opened, is open
// in any process. The map stays the caller's and may be closed. A name that is taken matches [os.ErrExist]. It needs CAP_SYS_ADMIN,
// else the error matches [ErrPermission], and at least Linux 5.10, else [ErrUnsupported].
func ShareMap(name string, m *Map) (*Shared, error) {
	fail := func(err error) (*Shared, error) {
		return nil, fmt.Errorf("share map %s as %q: %w", m.name, short(name), err)
	}
	if err := checkShareName(name); err != nil {
		return fail(err)
	}
	if !m.use.enter() {
		return fail(os.ErrClosed)
	}
	defer m.leave()
	raiseMemlock()
	marker, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: markerName(name), Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return fail(shareRefused(err))
	}
	if err := claim(name, marker, m.m); err != nil {
		return fail(errors.Join(err, marker.Close()))
	}
	hold, err := m.m.Clone()
	if err != nil {
		return fail(errors.Join(err, marker.Close()))
	}
	return &Shared{name: name, marker: marker, m: hold}, nil
}

// claim binds the map to the marker if nobody else has the name.
func claim(name string, marker *ebpf.Program, m *ebpf.Map) error {
	var own rawProgramInfo
	if err := objectInfo(marker.FD(), unsafe.Pointer(&own), unsafe.Sizeof(own)); err != nil {
		return err
	}
	err := eachMarker(name, func(_ int, info *markerInfo) (bool, error) {
		if info.id != own.id && (info.id < own.id || info.shared != 0) {
			return false, fmt.Errorf("%w: it is taken", os.ErrExist)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := marker.BindMap(m); err != nil {
		return shareRefused(err)
	}
	return nil
}

// Name returns the name of the share.
func (s *Shared) Name() string { return s.name }

// Close ends this hold on the share. Other processes that have it open go on; with the last one it ends. It is idempotent.
func (s *Shared) Close() error {
	s.once.Do(func() {
		if err := errors.Join(s.marker.Close(), s.m.Close()); err != nil {
			s.err = fmt.Errorf("close share %q: %w", short(s.name), err)
		}
	})
	return s.err
}

// OpenSharedMap opens the map that some process has shared under a name. The caller closes it, and while it is open the share stays.
// It needs CAP_SYS_ADMIN, else the error matches [ErrPermission]. A name that nobody shares matches [ErrNotFound].
func OpenSharedMap(name string) (*Map, error) {
	fail := func(err error) (*Map, error) { return nil, fmt.Errorf("open shared map %q: %w", short(name), err) }
	if err := checkShareName(name); err != nil {
		return fail(err)
	}
	var found *Map
	err := eachMarker(name, func(fd int, info *markerInfo) (bool, error) {
		if info.shared == 0 {
			return true, nil // it is being made, or lost against another one
		}
		m, err := openMapID(ebpf.MapID(info.shared), name) // there, because the marker holds it
		if err != nil {
			return false, err
		}
		hold, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return false, errors.Join(err, m.Close())
		}
		m.before = func() error { return unix.Close(hold) }
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

// markerInfo is what a marker tells.
type markerInfo struct {
	id     uint32
	shared uint32 // the number of the shared map; zero for a marker that is not bound yet
}

// eachMarker calls f for the markers of a name, by number, until it says that this is enough. f must not keep the descriptor.
func eachMarker(name string, f func(fd int, info *markerInfo) (more bool, err error)) error {
	want := markerName(name)
	for id := uint32(0); ; {
		attr := struct{ start, next, flags uint32 }{start: id}
		_, err := bpfCall(unix.BPF_PROG_GET_NEXT_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return listRefused(err)
		}
		id = attr.next
		attr.start, attr.next = id, 0
		fd, err := bpfCall(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if err == unix.ENOENT {
			continue // gone meanwhile
		}
		if err != nil {
			return listRefused(err)
		}
		info, ok := readMarker(fd, want)
		more := true
		if ok {
			more, err = f(fd, &info)
		}
		if err = errors.Join(err, unix.Close(fd)); err != nil || !more {
			return err
		}
	}
}

// readMarker reads what a program tells, if it is a marker of that name.
func readMarker(fd int, name string) (markerInfo, bool) {
	info := markerInfo{}
	raw := &rawProgramInfo{mapCount: 1, maps: userPointer{ptr: unsafe.Pointer(&info.shared)}}
	if objectInfo(fd, unsafe.Pointer(raw), unsafe.Sizeof(*raw)) != nil {
		return info, false
	}
	info.id = raw.id
	return info, ebpf.ProgramType(raw.typ) == ebpf.SocketFilter && cText(raw.name[:]) == name && raw.mapCount <= 1
}

func checkShareName(name string) error {
	if len(name) == 0 || len(name) > maxShareName {
		return fmt.Errorf("%w: a name of %d bytes, not 1 to %d", ErrSize, len(name), maxShareName)
	}
	return nil
}

// markerPrefix is what names of markers begin with.
const markerPrefix = "bl_"

// markerName is the kernel name of the markers of a share: 12 characters of a hash, about 71 bits.
func markerName(name string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(name))
	out := []byte(markerPrefix)
	for i := range 12 {
		out = append(out, digits[binary.LittleEndian.Uint16(sum[2*i:])%uint16(len(digits))])
	}
	return string(out)
}

// checkNotMarker refuses a program of a plugin that others would take for a marker: it would name a map of its own for the share, or keep
// the name from those who may share under it. The kernel sees a name without the characters that it does not take, or with an
// underscore in place of them.
func checkNotMarker(typ ebpf.ProgramType, name string) error {
	if typ != ebpf.SocketFilter {
		return nil
	}
	stripped := mapKernelName(name) // the same letters
	for _, seen := range []string{kernelName(name), cText(stripped[:])} {
		if strings.HasPrefix(seen, markerPrefix) {
			return fmt.Errorf("load program %s: %w: names that begin with %s are those of shares; give it another", short(name), ErrFormat, markerPrefix)
		}
	}
	return nil
}

// listRefused explains why the kernel's table of programs cannot be read.
func listRefused(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return outOfFiles(err)
	}
	if e := lacks("list programs", []kernel.Cap{kernel.CapSysAdmin}, err); e != nil {
		return e
	}
	return &PermissionError{What: "list programs", Capability: kernel.CapSysAdmin.String(), Cause: err}
}

// shareRefused explains why there can be no marker.
func shareRefused(err error) error {
	if errors.Is(err, unix.EPERM) {
		return listRefused(err)
	}
	if tooOld(kernel.Version{Major: 5, Minor: 10}) {
		return &UnsupportedError{Feature: "sharing maps by name", Need: "Linux 5.10", Cause: err}
	}
	return outOfFiles(err)
}

package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/pin"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// PinDir is a folder of a bpf file system in which maps, programs and links stay under names when the process that made them has
// ended, until they are removed or the machine restarts. All methods may be used from several goroutines at once; after Close they
// return an error that matches [os.ErrClosed].
//
// Names are 1 to 64 characters of a-z, A-Z, 0-9, "_", "-" and ".", the first of which is no ".": other names match [ErrName]. So no
// name leads out of the folder. The kernel takes no "." in names of pins, so that in the file system it is a ",".
type PinDir struct {
	path string
	dir  int // a descriptor of the folder
	use  useCount
}

// ErrName says that a name cannot be one of a pin.
var ErrName = errors.New("not a name for a pin")

// PinOptions control how a pin is opened.
type PinOptions struct {
	// ReadOnly and WriteOnly restrict what the process may do with a map. Both need Linux 4.15.
	ReadOnly, WriteOnly bool
}

// OpenPinDir opens a folder of a mounted bpf file system, which it makes for this user alone (mode 0700) if it is not there. The error
// matches [ErrUnsupported] and says how to mount one if the folder is in another file system, and [ErrPermission] if others may write
// to it. The caller closes it; what is pinned stays.
func OpenPinDir(path string) (*PinDir, error) {
	fail := func(err error) (*PinDir, error) { return nil, fmt.Errorf("open pins in %s: %w", short(path), err) }
	path = filepath.Clean(path)
	dir, err := openPinDir(path)
	if errors.Is(err, unix.ENOENT) {
		if err := makePinDir(path); err != nil {
			return fail(err)
		}
		dir, err = openPinDir(path)
	}
	if err != nil {
		return fail(err)
	}
	return &PinDir{path: path, dir: dir}, nil
}

// openPinDir opens the folder and looks whose it is.
func openPinDir(path string) (int, error) {
	dir, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = wantBpffs(dir, path)
	if err == nil {
		err = unix.Fstat(dir, &st)
	}
	if err == nil && (st.Mode&0o022 != 0 || st.Uid != uint32(os.Geteuid())) {
		err = &PermissionError{What: "use the folder", Capability: fmt.Sprintf("a folder that only user %d may write to (this one is of user %d, mode %04o)", os.Geteuid(), st.Uid, st.Mode&0o7777)}
	}
	if err != nil {
		unix.Close(dir)
		return -1, err
	}
	return dir, nil
}

// makePinDir makes the folder if its parent is in a bpf file system.
func makePinDir(path string) error {
	parent, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Dir(path), err)
	}
	defer unix.Close(parent)
	if err := wantBpffs(parent, filepath.Dir(path)); err != nil {
		return err
	}
	if err := unix.Mkdirat(parent, filepath.Base(path), 0o700); err != nil && err != unix.EEXIST {
		return fmt.Errorf("make the folder: %w", err)
	}
	return nil
}

func wantBpffs(dir int, path string) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(dir, &st); err != nil {
		return err
	}
	if int64(uint32(st.Type)) != unix.BPF_FS_MAGIC {
		return &UnsupportedError{Feature: "pins", Reason: path + " is not in a bpf file system", Need: "one: mount -t bpf bpf /sys/fs/bpf"}
	}
	return nil
}

// Path returns the folder's path as it was opened.
func (d *PinDir) Path() string { return d.path }

// Close gives up the folder's descriptor. What is pinned stays. It is idempotent.
func (d *PinDir) Close() error {
	if _, release := d.use.close(); release {
		return unix.Close(d.dir)
	}
	return nil
}

// PinMap keeps a map under a name. One that is taken matches [os.ErrExist].
func (d *PinDir) PinMap(name string, m *Map) error {
	if !m.use.enter() {
		return fmt.Errorf("pin map %s: %w", m.name, os.ErrClosed)
	}
	defer m.leave()
	return d.pin(name, "map "+m.name, int(m.fd))
}

// OpenMap opens a pinned map. The caller closes it. A name that is not there matches [ErrNotFound], one of a program or a link
// [ErrType].
func (d *PinDir) OpenMap(name string, o PinOptions) (*Map, error) {
	p, err := d.open(name, &ebpf.LoadPinOptions{ReadOnly: o.ReadOnly, WriteOnly: o.WriteOnly})
	if err != nil {
		return nil, err
	}
	km, ok := p.(*ebpf.Map)
	if !ok {
		return nil, d.wrongKind(name, p, "map")
	}
	return adoptMap(name, km)
}

// Remove takes a name away; what it named goes when nobody else holds it. A name that is not there matches [ErrNotFound].
func (d *PinDir) Remove(name string) error {
	return d.with("remove pin", name, func() error { return unix.Unlinkat(d.dir, onDisk(name), 0) })
}

// List returns the names in the folder, sorted.
func (d *PinDir) List() ([]string, error) {
	if !d.use.enter() {
		return nil, fmt.Errorf("list pins in %s: %w", d.path, os.ErrClosed)
	}
	defer d.leave()
	entries, err := os.ReadDir(d.file(""))
	if err != nil {
		return nil, fmt.Errorf("list pins in %s: %w", d.path, err)
	}
	var names []string
	for _, e := range entries {
		name := strings.ReplaceAll(e.Name(), ",", ".")
		if !e.IsDir() && checkPinName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// pinAttr is the part of union bpf_attr that pins use.
type pinAttr struct {
	path  userPointer
	fd    uint32
	flags uint32
}

// pin puts a name on a descriptor.
func (d *PinDir) pin(name, what string, fd int) error {
	return d.with("pin "+what, name, func() error {
		path, err := unix.BytePtrFromString(d.file(name))
		if err != nil {
			return err
		}
		attr := pinAttr{path: userPointer{ptr: unsafe.Pointer(path)}, fd: uint32(fd)}
		if _, err = bpfCall(unix.BPF_OBJ_PIN, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err == unix.EPERM {
			if e := lacks("pin", []kernel.Cap{kernel.CapBPF}, err); e != nil {
				return e
			}
		}
		return err
	})
}

// open opens whatever has the name.
func (d *PinDir) open(name string, o *ebpf.LoadPinOptions) (p pin.Pinner, err error) {
	err = d.with("open pin", name, func() error {
		p, err = pin.Load(d.file(name), o)
		return err
	})
	return p, err
}

// with checks the name, keeps the folder while f runs, and says what went wrong.
func (d *PinDir) with(step, name string, f func() error) error {
	err := checkPinName(name)
	switch {
	case err != nil:
	case !d.use.enter():
		err = os.ErrClosed
	default:
		err = f()
		d.leave()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, unix.EEXIST):
		err = fmt.Errorf("the name is taken: %w", err)
	}
	return fmt.Errorf("%s %q in %s: %w", step, short(name), d.path, err)
}

func (d *PinDir) leave() {
	if d.use.leave() {
		_ = unix.Close(d.dir)
	}
}

// file is a path to a name in the folder, wherever that is mounted now.
func (d *PinDir) file(name string) string {
	return "/proc/self/fd/" + strconv.Itoa(d.dir) + "/" + onDisk(name)
}

// onDisk is a name as the file system has it.
func onDisk(name string) string { return strings.ReplaceAll(name, ".", ",") }

// wrongKind closes what was opened and says what it is.
func (d *PinDir) wrongKind(name string, p pin.Pinner, want string) error {
	is := "link"
	switch p.(type) {
	case *ebpf.Map:
		is = "map"
	case *ebpf.Program:
		is = "program"
	}
	return errors.Join(fmt.Errorf("open pin %q in %s: %w: it is a %s, not a %s", name, d.path, ErrType, is, want), p.Close())
}

const maxPinName = 64

func checkPinName(name string) error {
	if len(name) == 0 || len(name) > maxPinName {
		return fmt.Errorf("%w: %d characters, not 1 to %d", ErrName, len(name), maxPinName)
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		case c == '.' && i > 0:
		default:
			return fmt.Errorf("%w: only letters, digits, '_', '-' and '.', the first of them no '.'", ErrName)
		}
	}
	return nil
}

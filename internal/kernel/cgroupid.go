package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// CgroupID returns the kernel's number of a cgroup, which programs get from bpf_get_current_cgroup_id: a directory of cgroup v2 as
// [OpenCgroup] takes it.
func CgroupID(name string) (uint64, error) {
	f, err := OpenCgroup(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h, _, err := unix.NameToHandleAt(int(f.Fd()), "", unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, fmt.Errorf("number of cgroup %s: %w", name, err)
	}
	if len(h.Bytes()) != 8 {
		return 0, fmt.Errorf("number of cgroup %s: %w: its handle has %d bytes", name, ErrUnsupported, len(h.Bytes()))
	}
	return binary.NativeEndian.Uint64(h.Bytes()), nil
}

// CgroupPath returns the path of a cgroup below the root of cgroup v2, "." for the root itself. A cgroup that is gone, or lies
// outside of what this process sees, matches [os.ErrNotExist]. With CAP_DAC_READ_SEARCH it is one step, else all cgroups are looked
// at. Requires at least Linux 5.5.
func CgroupPath(id uint64) (string, error) {
	root, err := Cgroup2()
	if err != nil {
		return "", err
	}
	defer root.Close()
	found, err := root.cgroupByHandle(id)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		found, err = root.cgroupByWalk(id)
	}
	if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOTDIR) { // the number of nothing, or of a file in a cgroup
		err = os.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("cgroup %d: %w", id, err)
	}
	return found, nil
}

// cgroupByHandle opens a cgroup by its number.
func (f *FS) cgroupByHandle(id uint64) (string, error) {
	const kernfsID = 0xfe // FILEID_KERNFS
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], id)
	fd, err := unix.OpenByHandleAt(int(f.dir.Fd()), unix.NewFileHandle(kernfsID, b[:]), unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	shown, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", err
	}
	top, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.dir.Fd()))
	if err != nil {
		return "", err
	}
	rest, below := strings.CutPrefix(shown+"/", strings.TrimSuffix(top, "/")+"/")
	if !below {
		return "", os.ErrNotExist
	}
	return path.Clean("./" + rest), nil
}

// maxCgroups bounds a walk.
const maxCgroups = 1 << 16

// cgroupByWalk looks at every cgroup: its inode number is its number.
func (f *FS) cgroupByWalk(id uint64) (string, error) {
	todo := []string{"."}
	for seen := 0; len(todo) > 0 && seen < maxCgroups; seen++ {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		d, err := f.OpenDir(at)
		if err != nil {
			continue // removed meanwhile, or not ours to see
		}
		var st unix.Stat_t
		err = unix.Fstat(int(d.Fd()), &st)
		entries, _ := d.ReadDir(-1)
		d.Close()
		if err == nil && st.Ino == id {
			return at, nil
		}
		for _, e := range entries {
			if e.IsDir() {
				todo = append(todo, path.Join(at, e.Name()))
			}
		}
	}
	return "", os.ErrNotExist
}

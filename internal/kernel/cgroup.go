package kernel

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenCgroup opens a directory of cgroup v2: an absolute path, or one relative to the root of cgroup v2 ("." is the root), from
// which no ".." leads out. It works without cgroup v2 being mounted. Where it is mounted elsewhere than at /sys/fs/cgroup (systems
// with both versions), a path below that which is no cgroup of version 2 means the same path below the real root: programs have
// the usual place written into them. The caller closes the file.
func OpenCgroup(name string) (*os.File, error) {
	if strings.HasPrefix(name, "/") {
		f, err := openAbsoluteCgroup(name)
		rest, usual := strings.CutPrefix(path.Clean(name)+"/", usualCgroup+"/")
		if err == nil || !usual {
			return f, err
		}
		if f, below := openRelativeCgroup(path.Clean("./" + rest)); below == nil {
			return f, nil
		}
		return nil, err
	}
	return openRelativeCgroup(name)
}

// usualCgroup is where cgroup v2 is mounted on systems that have no version 1.
const usualCgroup = "/sys/fs/cgroup"

func openRelativeCgroup(name string) (*os.File, error) {
	root, err := Cgroup2()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenDir(name)
	switch {
	case errors.Is(err, os.ErrInvalid):
		return nil, notCgroup(fmt.Sprintf("cgroup %q leads out of the cgroup v2 hierarchy; give a path below its root without \"..\"", name))
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("no such cgroup: %w; make it with mkdir, or give \".\" for the root", err)
	case err != nil:
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	return f, nil
}

func openAbsoluteCgroup(name string) (*os.File, error) {
	f, err := os.OpenFile(name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no such cgroup: %w; %s", err, cgroupHint())
	}
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	if err := isFS(f, unix.CGROUP2_SUPER_MAGIC); err != nil {
		return nil, errors.Join(notCgroup(name+" is not a directory of cgroup v2; "+cgroupHint()), f.Close())
	}
	return f, nil
}

// notCgroup is a name of something that is no cgroup. It matches [os.ErrNotExist].
type notCgroup string

func (e notCgroup) Error() string        { return string(e) }
func (e notCgroup) Is(target error) bool { return target == os.ErrNotExist }

func cgroupHint() string {
	root, err := Cgroup2()
	if err != nil {
		return "cgroup v2 is not mounted"
	}
	defer root.Close()
	if root.Mounted() == "" {
		return "cgroup v2 is not mounted: give a path relative to its root, \".\" for the root"
	}
	return "cgroup v2 is at " + root.Mounted()
}

package kernel

import (
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// kept are the detached mounts that this process holds on to, by the name of the file system. It is state of the process, as the
// capabilities are for whose sake it is there.
var kept sync.Map // string -> *os.File

// Keep opens a file system, if it is there, and keeps it until the process ends, so that it can be opened as before without
// CAP_SYS_ADMIN: for a process that is about to give that up. It answers a path to it for this process.
func Keep(open func() (*FS, error)) (path string, err error) {
	fs, err := open()
	if err != nil {
		return "", err
	}
	if point := fs.Mounted(); point != "" {
		return point, fs.Close()
	}
	if old, loaded := kept.LoadOrStore(fs.name, fs.dir); loaded {
		defer fs.Close()
		return fdPath(old.(*os.File)), nil
	}
	return fdPath(fs.dir), nil
}

func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// keptFS is another descriptor of a file system that is kept.
func keptFS(name string) (*FS, bool) {
	f, ok := kept.Load(name)
	if !ok {
		return nil, false
	}
	fd, err := unix.FcntlInt(f.(*os.File).Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	return &FS{dir: os.NewFile(uintptr(fd), name), name: name}, true
}

package wazero

import (
	"io"
	"io/fs"
	"os"

	wzsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"
)

// rootFile is an open file or directory of a rootFS. Files are read and
// written by plain system calls, because [os.File] would wait for a pipe to
// become ready and could not be interrupted; the guest gets EAGAIN.
type rootFile struct {
	seeker[int64]
	fs     *rootFS
	file   *os.File // directories only
	fd     int
	dir    bool
	append bool
	st     sys.Stat_t // as it was at the opening
}

var _ wzsys.File = (*rootFile)(nil)

// newRootFile takes f over.
func newRootFile(r *rootFS, f *os.File, flag wzsys.Oflag) (*rootFile, wzsys.Errno) {
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, errno(err)
	}
	rf := &rootFile{fs: r, dir: st.IsDir(), append: flag&wzsys.O_APPEND != 0, st: sys.NewStat_t(st), fd: -1}
	if rf.dir {
		rf.file = f
	} else {
		rf.fd, err = duplicate(f)
		f.Close()
		if err != nil {
			return nil, errno(err)
		}
	}
	rf.seeker.f = rf
	r.open[rf] = struct{}{}
	return rf, 0
}

func duplicate(f *os.File) (int, error) {
	fd := -1
	conn, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := conn.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// io runs a system call on a file again while signals interrupt it.
func (f *rootFile) io(buf []byte, call func(fd int) (int, error)) (int, wzsys.Errno) {
	if f.dir {
		return 0, wzsys.EISDIR
	}
	if f.fd < 0 {
		return 0, wzsys.EBADF
	}
	if buf != nil && len(buf) == 0 {
		return 0, 0
	}
	for {
		n, err := call(f.fd)
		if err != unix.EINTR {
			return max(n, 0), errno(err)
		}
	}
}

func (f *rootFile) Read(buf []byte) (int, wzsys.Errno) {
	return f.io(buf, func(fd int) (int, error) { return unix.Read(fd, buf) })
}

func (f *rootFile) Pread(buf []byte, off int64) (int, wzsys.Errno) {
	return f.io(buf, func(fd int) (int, error) { return unix.Pread(fd, buf, off) })
}

func (f *rootFile) Write(buf []byte) (int, wzsys.Errno) {
	return f.io(buf, func(fd int) (int, error) { return unix.Write(fd, buf) })
}

func (f *rootFile) Pwrite(buf []byte, off int64) (int, wzsys.Errno) {
	return f.io(buf, func(fd int) (int, error) { return unix.Pwrite(fd, buf, off) })
}

func (f *rootFile) Truncate(size int64) wzsys.Errno {
	_, e := f.io(nil, func(fd int) (int, error) { return 0, unix.Ftruncate(fd, size) })
	return e
}

func (f *rootFile) Datasync() wzsys.Errno {
	_, e := f.io(nil, func(fd int) (int, error) { return 0, unix.Fdatasync(fd) })
	return e
}

func (f *rootFile) Sync() wzsys.Errno {
	if f.dir {
		if f.file == nil {
			return wzsys.EBADF
		}
		return errno(f.file.Sync())
	}
	_, e := f.io(nil, func(fd int) (int, error) { return 0, unix.Fsync(fd) })
	return e
}

// seeker holds Seek, whose signature is wazero's and not that of [io.Seeker]:
// the type parameter, which is always int64, tells vet so.
type seeker[T ~int64] struct{ f *rootFile }

// Seek moves the position; a directory can only be rewound.
func (s seeker[T]) Seek(off T, whence int) (T, wzsys.Errno) {
	f := s.f
	if f.dir {
		if f.file == nil {
			return 0, wzsys.EBADF
		}
		if off != 0 || whence != io.SeekStart {
			return 0, wzsys.EINVAL
		}
		_, err := f.file.Seek(0, io.SeekStart)
		return 0, errno(err)
	}
	if f.fd < 0 {
		return 0, wzsys.EBADF
	}
	if whence < io.SeekStart || whence > io.SeekEnd {
		return 0, wzsys.EINVAL
	}
	pos, err := unix.Seek(f.fd, int64(off), whence)
	return T(pos), errno(err)
}

// Readdir gives up to n entries, all that are left for n <= 0.
func (f *rootFile) Readdir(n int) ([]wzsys.Dirent, wzsys.Errno) {
	if !f.dir {
		return nil, wzsys.ENOTDIR
	}
	if f.file == nil {
		return nil, wzsys.EBADF
	}
	infos, err := f.file.Readdir(n)
	if err == io.EOF {
		err = nil
	}
	entries := make([]wzsys.Dirent, 0, len(infos))
	for _, info := range infos {
		entries = append(entries, wzsys.Dirent{Name: info.Name(), Ino: sys.NewStat_t(info).Ino, Type: info.Mode().Type()})
	}
	return entries, errno(err)
}

func (f *rootFile) Stat() (sys.Stat_t, wzsys.Errno) {
	if f.dir {
		if f.file == nil {
			return sys.Stat_t{}, wzsys.EBADF
		}
		st, err := f.file.Stat()
		if err != nil {
			return sys.Stat_t{}, errno(err)
		}
		return sys.NewStat_t(st), 0
	}
	if f.fd < 0 {
		return sys.Stat_t{}, wzsys.EBADF
	}
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return sys.Stat_t{}, errno(err)
	}
	return sys.Stat_t{
		Dev: uint64(st.Dev), Ino: st.Ino, Mode: f.st.Mode.Type() | fs.FileMode(st.Mode&0o777), Nlink: uint64(st.Nlink),
		Size: st.Size, Atim: st.Atim.Nano(), Mtim: st.Mtim.Nano(), Ctim: st.Ctim.Nano(),
	}, 0
}

func (f *rootFile) Dev() (uint64, wzsys.Errno)    { return f.st.Dev, 0 }
func (f *rootFile) Ino() (sys.Inode, wzsys.Errno) { return f.st.Ino, 0 }
func (f *rootFile) IsDir() (bool, wzsys.Errno)    { return f.dir, 0 }
func (f *rootFile) IsAppend() bool                { return f.append }

// SetAppend changes the mode for later writes.
func (f *rootFile) SetAppend(on bool) wzsys.Errno {
	_, e := f.io(nil, func(fd int) (int, error) {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return 0, err
		}
		if flags &^= unix.O_APPEND; on {
			flags |= unix.O_APPEND
		}
		return unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
	})
	if e == 0 {
		f.append = on
	}
	return e
}

// Utimens sets times in nanoseconds since the epoch.
func (f *rootFile) Utimens(atim, mtim int64) wzsys.Errno {
	if !f.fs.write {
		return wzsys.EROFS
	}
	spec := func(ns int64) unix.Timespec {
		if ns == wzsys.UTIME_OMIT {
			return unix.Timespec{Nsec: unix.UTIME_OMIT}
		}
		return unix.NsecToTimespec(ns)
	}
	times := [2]unix.Timespec{spec(atim), spec(mtim)}
	set := func(fd int) error { return unix.UtimesNanoAt(fd, "", times[:], unix.AT_EMPTY_PATH) }
	if !f.dir {
		_, e := f.io(nil, func(fd int) (int, error) { return 0, set(fd) })
		return e
	}
	if f.file == nil {
		return wzsys.EBADF
	}
	return errno(set(int(f.file.Fd())))
}

// Close is idempotent.
func (f *rootFile) Close() wzsys.Errno {
	delete(f.fs.open, f)
	var err error
	if f.file != nil {
		err = f.file.Close()
	} else if f.fd >= 0 {
		err = unix.Close(f.fd)
	}
	f.file, f.fd = nil, -1
	return errno(err)
}

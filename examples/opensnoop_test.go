package examples_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// setupOpensnoop opens files in this process, with both system calls and with
// errors of several kinds.
func setupOpensnoop(t *testing.T) row {
	dir := t.TempDir()
	return row{
		args: []string{"--pid", strconv.Itoa(os.Getpid())},
		vars: map[string]string{"pid": strconv.Itoa(os.Getpid()), "dir": dir},
		cause: func() {
			open(t, filepath.Join(dir, "there"), unix.O_CREAT, 0)
			open(t, filepath.Join(dir, "missing"), 0, unix.ENOENT)
			open(t, filepath.Join(dir, "there/below"), 0, unix.ENOTDIR)
			open(t, filepath.Join(dir, "there"), unix.O_CREAT|unix.O_EXCL, unix.EEXIST)
			open(t, filepath.Join(dir, "steer\x1b[31m"), 0, unix.ENOENT)
			open(t, filepath.Join(dir, "deep", strings.Repeat("x/", 200)), 0, unix.ENOENT)
			// Address 1 is never mapped.
			if _, _, e := unix.Syscall6(unix.SYS_OPENAT, 0, 1, unix.O_RDONLY, 0, 0, 0); e != unix.EFAULT {
				t.Fatalf("openat of address 1: %v", e)
			}
			fd, err := unix.Openat2(unix.AT_FDCWD, filepath.Join(dir, "openat2"),
				&unix.OpenHow{Flags: unix.O_CREAT | unix.O_RDWR, Mode: 0o600})
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
		},
	}
}

// setupOpensnoopFailed asks for two lines, about failures only.
func setupOpensnoopFailed(t *testing.T) row {
	dir := t.TempDir()
	return row{
		args: []string{"--pid", strconv.Itoa(os.Getpid()), "--failed", "--count", "2"},
		golden: `must TIME +PID +COMM +FD/ERROR +PATH
			must \S+ +{pid} \S.* +ENOENT  {dir}/one
			must \S+ +{pid} \S.* +ENOENT  {dir}/two`,
		vars: map[string]string{"pid": strconv.Itoa(os.Getpid()), "dir": dir},
		ends: true,
		cause: func() {
			open(t, filepath.Join(dir, "there"), unix.O_CREAT, 0)
			open(t, filepath.Join(dir, "one"), 0, unix.ENOENT)
			open(t, filepath.Join(dir, "two"), 0, unix.ENOENT)
		},
	}
}

// open opens a file, expects an error or success, and closes it.
func open(t *testing.T, path string, flags int, want unix.Errno) {
	t.Helper()
	fd, err := unix.Open(path, flags, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	if (err == nil) != (want == 0) || (err != nil && err != error(want)) {
		t.Fatalf("open %s: got %v, want %v", path, err, want)
	}
}

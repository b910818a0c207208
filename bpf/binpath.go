package bpf

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// resolveBinary finds a program or library: a path as it is, a bare name where the system keeps such files. With a process, the
// path is the one that the process sees, which may be inside a container.
func resolveBinary(name string, pid int) (string, error) {
	if name == "" {
		return "", noTarget("program or library", "/bin/bash:readline or libc.so.6:malloc")
	}
	root := ""
	if pid != 0 {
		root = filepath.Join("/proc", strconv.Itoa(pid), "root")
		if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
			return "", badTarget("no process %d: %w", pid, unix.ESRCH)
		} else if err != nil {
			return "", badTarget("no process %d: %w", pid, err)
		}
	}
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			return name, nil
		}
		if inside := root + name; pid != 0 && !strings.HasPrefix(name, "/proc/") && exists(inside) {
			return inside, nil
		}
		return name, nil
	}
	dirs := programDirs()
	patterns := []string{name}
	if strings.Contains(name, ".so") {
		dirs = libraryDirs(root)
	} else if !slices.ContainsFunc(dirs, func(d string) bool { return exists(filepath.Join(root+d, name)) }) {
		// "libc" and "c" mean libc.so.6
		dirs = libraryDirs(root)
		patterns = []string{name + ".so", name + ".so.*", "lib" + name + ".so", "lib" + name + ".so.*"}
	}
	for _, pattern := range patterns {
		for _, d := range dirs {
			if strings.ContainsAny(name, `*?[\`) {
				break
			}
			found, _ := filepath.Glob(filepath.Join(root+d, pattern))
			if i := slices.IndexFunc(found, isELF); i >= 0 {
				return found[i], nil
			}
		}
	}
	return "", noSuch("no program or library %q in the usual places; give its path", short(name))
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

// isELF tells libraries from the linker scripts that carry names such as libc.so.
func isELF(file string) bool {
	f, err := openRegular(file)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && string(magic[:]) == "\x7fELF"
}

func programDirs() []string {
	var dirs []string
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(d) {
			dirs = append(dirs, d)
		}
	}
	return append(dirs, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
}

// Bounds on the lists of directories, which may be those of a hostile container.
const (
	maxConfig = 64 << 10 // bytes of each file
	maxDirs   = 256
)

// openRegular opens a regular file: anything else may block, or do something when it is opened.
func openRegular(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, unix.EINVAL
	}
	return f, nil
}

// libraryDirs are those of the dynamic linker, on this architecture.
func libraryDirs(root string) []string {
	triple := map[string]string{
		"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "arm": "arm-linux-gnueabihf", "riscv64": "riscv64-linux-gnu",
		"386": "i386-linux-gnu", "s390x": "s390x-linux-gnu", "ppc64le": "powerpc64le-linux-gnu", "loong64": "loongarch64-linux-gnu",
	}[runtime.GOARCH]
	dirs := []string{"/lib/" + triple, "/usr/lib/" + triple, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}
	configs, _ := filepath.Glob(root + "/etc/ld.so.conf.d/*.conf")
	for _, c := range append(configs[:min(len(configs), maxDirs)], root+"/etc/ld.so.conf") {
		f, err := openRegular(c)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(io.LimitReader(f, maxConfig)); s.Scan() && len(dirs) < maxDirs; {
			if d := strings.TrimSpace(s.Text()); filepath.IsAbs(d) {
				dirs = append(dirs, d)
			}
		}
		f.Close()
	}
	return dirs
}

package vmtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	orderPath = "/.vmtest/order.json"
	portPath  = "/dev/ttyS1"
)

// order is what init does.
type order struct {
	Modules  []string // files to load, in this order
	Programs []Program
	Now      int64 // Unix nanoseconds, to set the clock
}

// Init is process 1 of a guest: it runs the programs of its order one after the other, tells the host, and ends the machine. It does
// not return.
func Init() {
	port, err := setUp()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmtest init:", err) // the console is all there is
		reboot()
	}
	f := &frames{w: port}
	if err := errors.Join(f.send(frameReady, nil), follow(f)); err != nil {
		_ = f.send(frameFail, []byte(err.Error()))
	} else {
		_ = f.send(frameDone, nil)
	}
	_ = unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, 1) // waits until the bytes are out
	time.Sleep(time.Second)                              // the host ends the guest before this is over
	reboot()
}

func reboot() {
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}

// fileSystems are mounted in this order. Those that a kernel may lack are optional.
var fileSystems = []struct {
	kind, dir string
	optional  bool
}{
	{kind: "proc", dir: "/proc"},
	{kind: "sysfs", dir: "/sys"},
	{kind: "devtmpfs", dir: "/dev"},
	{kind: "tmpfs", dir: "/tmp"},
	{kind: "tmpfs", dir: "/run"},
	{kind: "tmpfs", dir: "/dev/shm"},
	{kind: "cgroup2", dir: "/sys/fs/cgroup"},
	{kind: "bpf", dir: "/sys/fs/bpf", optional: true},
	{kind: "debugfs", dir: "/sys/kernel/debug", optional: true},
	{kind: "tracefs", dir: "/sys/kernel/tracing", optional: true},
	{kind: "securityfs", dir: "/sys/kernel/security", optional: true},
}

func setUp() (port *os.File, err error) {
	for _, fs := range fileSystems {
		_ = os.MkdirAll(fs.dir, 0o755) // what matters is the mount
		if err := unix.Mount(fs.kind, fs.dir, fs.kind, 0, ""); err != nil && !fs.optional {
			return nil, fmt.Errorf("mount %s on %s: %w", fs.kind, fs.dir, err)
		}
	}
	if err := errors.Join(os.Symlink("/proc/self/fd", "/dev/fd"), os.Chmod("/tmp", 0o1777)); err != nil {
		return nil, err
	}
	port, err = os.OpenFile(portPath, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return port, raw(int(port.Fd()))
}

// raw keeps the terminal layer from changing bytes.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("set up %s: %w", portPath, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func follow(f *frames) error {
	b, err := os.ReadFile(orderPath)
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(b, &o); err != nil {
		return fmt.Errorf("read %s: %w", orderPath, err)
	}
	now := unix.NsecToTimeval(o.Now)
	if err := unix.Settimeofday(&now); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	for _, m := range o.Modules {
		if err := loadModule(m); err != nil {
			return fmt.Errorf("load module %s: %w", filepath.Base(m), err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	for i, p := range o.Programs {
		if err := f.sendNumber(frameStart, i); err != nil {
			return err
		}
		status, err := run(p, f)
		if err != nil {
			return fmt.Errorf("run %s: %w", p.Name, err)
		}
		if err := f.sendNumber(frameExit, status); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// run answers the program's exit status, or 128 and the signal that ended it.
func run(p Program, f *frames) (int, error) {
	cmd := exec.Command(p.guestPath(), p.Args...)
	cmd.Dir = p.Dir
	cmd.Env = []string{"PATH=/usr/bin:/usr/sbin", "HOME=/root", "TMPDIR=/tmp"}
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 2 * time.Second // a child that is left over may hold the pipe
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit):
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return 128 + int(s.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

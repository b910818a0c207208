package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// Drop gives up every capability that is not in keep, on all threads of the process, and the way to get others by starting programs
// (no_new_privs). Of keep it keeps what the process holds. The inheritable and ambient sets are emptied. Nothing gives any of it back.
// The bounding set stays as it is: with no_new_privs no program gets anything by it.
//
// Threads of which one may do what another may not end the process: call it when no thread has changed its own capabilities.
func Drop(keep kernel.CapSet) error {
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || set == 0 {
		if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
			return fmt.Errorf("set no_new_privs: %w", errno)
		}
	}
	hdr, held, err := capabilities()
	if err != nil {
		return err
	}
	keep &= held.permitted()
	var less capData
	for i := range less {
		half := uint32(keep >> (32 * i))
		less[i] = unix.CapUserData{Effective: half, Permitted: half}
	}
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(hdr)), uintptr(unsafe.Pointer(&less[0])), 0)
	runtime.KeepAlive(hdr)
	runtime.KeepAlive(&less)
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

// cutBounding takes out of the bounding set of the calling thread what is not in keep, if the process may do that (CAP_SETPCAP): for a
// thread that is about to start a program, which can get no more then. It does not do for all threads of a process: that takes a call on
// every thread for every capability, tens of milliseconds on a busy machine, and means nothing where no_new_privs is set.
func cutBounding(keep kernel.CapSet) error {
	_, held, err := capabilities()
	if err != nil || held.effective()&(1<<unix.CAP_SETPCAP) == 0 {
		return err
	}
	for c := range uintptr(64) {
		in, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			return nil // the first number that the kernel does not know
		}
		if in == 0 || keep&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("take %s out of the bounding set: %w", kernel.Cap(c), err)
		}
	}
	return nil
}

type capData [2]unix.CapUserData

func (d *capData) effective() kernel.CapSet {
	return kernel.CapSet(d[0].Effective) | kernel.CapSet(d[1].Effective)<<32
}

func (d *capData) permitted() kernel.CapSet {
	return kernel.CapSet(d[0].Permitted) | kernel.CapSet(d[1].Permitted)<<32
}

// capabilities are those of the calling thread.
func capabilities() (*unix.CapUserHeader, *capData, error) {
	hdr, data := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &capData{}
	if err := unix.Capget(hdr, &data[0]); err != nil {
		return nil, nil, fmt.Errorf("read capabilities: %w", err)
	}
	return hdr, data, nil
}

// LiftMemlock raises the limit of locked memory as far as it goes, so that buffers of perf events, and before Linux 5.11 maps and
// programs, fit without CAP_IPC_LOCK.
func LiftMemlock() error {
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &all); err == nil {
		return nil
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		return fmt.Errorf("read the limit of locked memory: %w", err)
	}
	old.Cur = old.Max
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		return fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	return nil
}

package bpf

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// defaultFrequency is what profilers use: not a round number, so that it does not beat with timers.
const defaultFrequency = 99

// attachPerfEvent runs a program at each sample of an event on every CPU that is online: at the given frequency of the software
// clock, which every machine has, unless the target says otherwise. With a PID it runs only while a thread of that process does
// (before Linux 5.13 also its later children). Requires at least Linux 4.9.
func attachPerfEvent(p *Program, t Target) (*Link, error) {
	attr, err := perfAttr(t)
	if err != nil {
		return nil, err
	}
	l := &Link{target: perfName(t)}
	if t.PID != 0 {
		l.target += fmt.Sprintf("@%d", t.PID)
		if err := l.addThreads(p, attr, t); err != nil {
			return nil, errors.Join(err, l.abandon(p))
		}
		return l, nil
	}
	cpus, err := kernel.OnlineCPUs()
	if err != nil {
		return nil, err
	}
	for _, cpu := range cpus {
		err := l.addPerf(p, &attr, -1, cpu, t)
		if errors.Is(err, unix.ENODEV) {
			continue // the CPU went off in between
		}
		if err != nil {
			return nil, errors.Join(err, l.abandon(p))
		}
	}
	return l, nil
}

// perfBitInheritThread makes events of threads, not of processes, that a thread starts. Requires at least Linux 5.13.
const perfBitInheritThread = unix.CBitFieldMaskBit35

// addThreads opens an event for every thread of a process, because perf knows only threads. Each event follows the threads that its
// thread starts, so it is enough to list them until there is no new one.
func (l *Link) addThreads(p *Program, attr unix.PerfEventAttr, t Target) error {
	attr.Bits |= unix.PerfBitInherit
	if kernel.Running().AtLeast(5, 13) {
		attr.Bits |= perfBitInheritThread
	}
	seen := map[int]bool{}
	for {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", t.PID))
		if err != nil {
			return badTarget("no process %d: %w", t.PID, unix.ESRCH)
		}
		before := len(l.raw) + len(l.events)
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || seen[tid] {
				continue
			}
			seen[tid] = true
			if err := l.addPerf(p, &attr, tid, -1, t); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		switch after := len(l.raw) + len(l.events); {
		case after == 0:
			return badTarget("no process %d: %w", t.PID, unix.ESRCH)
		case after == before:
			return nil
		}
	}
}

// abandon undoes what a half-made link has.
func (l *Link) abandon(p *Program) error {
	l.of(p)
	return l.Close()
}

// addPerf opens a perf event and attaches the program to it: with a link (Linux 5.15), else by ioctl.
func (l *Link) addPerf(p *Program, attr *unix.PerfEventAttr, pid, cpu int, t Target) error {
	if t.MaxLinks > 0 && len(l.events) >= t.MaxLinks {
		return fmt.Errorf("%w: it takes more than %d", ErrTooManyLinks, t.MaxLinks)
	}
	cookie := t.Cookie
	attr.Size = uint32(unsafe.Sizeof(*attr))
	fd, err := unix.PerfEventOpen(attr, pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if errors.Is(err, unix.ESRCH) {
		return badTarget("no process %d: %w", pid, err)
	}
	if err != nil {
		return perfOpenError(attr, err)
	}
	event := os.NewFile(uintptr(fd), "perf-event")
	raw, err := perfLink(p, fd, cookie)
	switch {
	case err == nil:
		l.raw = append(l.raw, raw)
	case errors.Is(err, unix.EINVAL) && !kernel.Running().AtLeast(5, 15) && cookie == 0:
		err = perfIoctl(p, fd)
	case errors.Is(err, unix.EINVAL) && !kernel.Running().AtLeast(5, 15):
		err = noCookie(p.hook, "5.15", err)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("attach to perf event: %w", err), event.Close())
	}
	l.events = append(l.events, event)
	return nil
}

func perfIoctl(p *Program, fd int) error {
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, p.prog.FD()); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0)
}

// perfLink is BPF_LINK_CREATE on a perf event; cilium/ebpf's own does not take an event that somebody else opened.
func perfLink(p *Program, event int, cookie uint64) (link.Link, error) {
	attr := struct {
		prog, target, attachType, flags uint32
		cookie                          uint64
	}{prog: uint32(p.prog.FD()), target: uint32(event), attachType: uint32(ebpf.AttachPerfEvent), cookie: cookie}
	const bpfLinkCreate = 28
	fd, _, errno := unix.Syscall(unix.SYS_BPF, bpfLinkCreate, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, errno
	}
	// The kernel sets close-on-exec on descriptors of links.
	return link.NewFromFD(int(fd))
}

// perfRefused names the capability or the setting that allows perf events.
func perfRefused(err error) error {
	const what = "open perf event"
	caps, capErr := kernel.Capabilities()
	if capErr != nil || !(errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)) {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch {
	case !caps.Has(kernel.CapPerfmon):
		return &PermissionError{What: what, Capability: "CAP_PERFMON (or a lower kernel.perf_event_paranoid)", Cause: err}
	case !caps.Has(kernel.CapSysAdmin):
		need := "CAP_SYS_ADMIN (this kernel does not take CAP_PERFMON for it)"
		b, _ := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n > 2 {
			need += fmt.Sprintf(", or kernel.perf_event_paranoid=2 (it is %d)", n)
		}
		return &PermissionError{What: what, Capability: need, Cause: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

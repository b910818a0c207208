package bpf

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probePoint is a place in the kernel's or a program's code, as perf takes it.
type probePoint struct {
	kind   string // perf's name for it, "kprobe" or "uprobe"
	name   string // the kernel's function or the file
	offset uint64 // in the function or in the file
	// semaphore is the offset in the file of a usdt probe's counter; zero for none.
	semaphore uint64
	ret       bool // when the function returns
}

// addProbe opens a perf event for a place in code and attaches the program to it. Requires at least Linux 4.17 (4.20 with a
// semaphore). The library's own way loads a program to try the kernel out, for which it reads /proc/self/mem, and a process with
// file capabilities may not.
func (l *Link) addProbe(p *Program, at probePoint, t Target) error {
	kind, err := pmuNumber(at.kind, "type", "")
	if err != nil {
		return err
	}
	name, err := unix.BytePtrFromString(at.name)
	if err != nil {
		return badTarget("name %q: %w", short(at.name), err)
	}
	attr := unix.PerfEventAttr{Type: uint32(kind), Ext2: at.offset}
	if at.ret {
		bit, err := pmuNumber(at.kind, "format/retprobe", "config:")
		if err != nil {
			return err
		}
		attr.Config |= 1 << (bit & 63)
	}
	if at.semaphore != 0 {
		const shift = 32
		if _, err := os.Stat("/sys/bus/event_source/devices/" + at.kind + "/format/ref_ctr_offset"); err != nil {
			return &UnsupportedError{Feature: "counters (semaphores) of usdt probes", Need: "Linux 4.20", Cause: err}
		}
		if at.semaphore >= 1<<shift {
			return badTarget("the probe's counter is at %#x in the file, further than perf can take", at.semaphore)
		}
		attr.Config |= at.semaphore << shift
	}
	// The kernel reads the name through this number; the pinner keeps it where it is until the call is over.
	var pin runtime.Pinner
	pin.Pin(name)
	defer pin.Unpin()
	attr.Ext1 = uint64(uintptr(unsafe.Pointer(name)))
	pid, cpu := -1, 0 // one CPU is enough: the program runs on all of them
	if t.PID != 0 {
		pid, cpu = t.PID, -1
	}
	return l.addPerf(p, &attr, pid, cpu, t)
}

// pmuNumber reads a number that the kernel tells about one of its sources of perf events.
func pmuNumber(pmu, file, before string) (uint64, error) {
	b, err := os.ReadFile("/sys/bus/event_source/devices/" + pmu + "/" + file)
	if err != nil {
		return 0, fmt.Errorf("ask the kernel about %ss: %w", pmu, err)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(b)), before), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("ask the kernel about %ss: %s: %w", pmu, file, err)
	}
	return n, nil
}

// syscallPrefix is what the kernel puts before the names of its system calls' functions, "__x64_sys_openat".
func syscallPrefix() string {
	return map[string]string{
		"386": "__ia32_", "amd64": "__x64_", "arm": "__arm_", "arm64": "__arm64_", "mips": "__mips_", "mipsle": "__mips_",
		"mips64": "__mips_", "mips64le": "__mips_", "ppc64": "__powerpc64_", "ppc64le": "__powerpc64_", "riscv64": "__riscv_",
		"s390x": "__s390x_",
	}[runtime.GOARCH]
}

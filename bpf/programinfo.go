package bpf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// ProgramInfo is what the kernel tells about a program. What it does not tell is zero: each field says since when it does.
type ProgramInfo struct {
	// ID is the kernel's number of the program, as bpftool shows it.
	ID uint32
	// Type is the kernel's program type.
	Type ebpf.ProgramType
	// Name is as the kernel keeps it, at most 15 bytes (Linux 4.15). Tag is the hash of the instructions, in hex.
	Name, Tag string
	// Loaded is when the program was loaded, as time since boot (4.15).
	Loaded time.Duration
	// UID is the user who loaded it (4.15).
	UID uint32
	// TranslatedSize and JITedSize are in bytes: the instructions as the kernel changed them, and the machine code, zero if there
	// is none.
	TranslatedSize, JITedSize uint32
	// VerifiedInsns is how many instructions the verifier looked at (5.16).
	VerifiedInsns uint32
	// Memlock is how many bytes of kernel memory it takes, as the kernel charges it.
	Memlock uint64
	// Maps are the kernel's numbers of the maps that it uses (4.15).
	Maps []uint32
	// GPL says that its licence is compatible with the GPL (4.18).
	GPL bool
	// BTF is the kernel's number of its type information, zero if it has none (5.0).
	BTF uint32
	// RunCount and RunTime are counted while [EnableStats] or kernel.bpf_stats_enabled is on (5.1).
	RunCount uint64
	RunTime  time.Duration
	// RecursionMisses is how often it did not run because it was running on that CPU already (5.12).
	RecursionMisses uint64
}

// rawProgramInfo is struct bpf_prog_info.
type rawProgramInfo struct {
	typ, id                     uint32
	tag                         [8]byte
	jitedSize, translatedSize   uint32
	_, _                        uint64 // where instructions would go
	loadTime                    uint64
	uid                         uint32
	mapCount                    uint32
	maps                        userPointer
	name                        [16]byte
	_                           uint32
	gpl                         uint32 // one bit of it, which is the first or the last
	_, _                        uint64
	_, _                        uint32
	_, _                        uint64
	btf                         uint32
	_                           uint32
	_                           uint64
	_, _                        uint32
	_, _                        uint64
	_, _, _, _                  uint32
	_                           uint64
	runTime, runCount, recursed uint64
	verified                    uint32
	_, _, _                     uint32
}

// Info tells what the kernel knows about the program. Requires at least Linux 4.13.
func (p *Program) Info() (ProgramInfo, error) {
	if !p.enter() {
		return ProgramInfo{}, p.closedError("info")
	}
	defer p.leave()
	raw := new(rawProgramInfo)
	if err := objectInfo(p.fd, unsafe.Pointer(raw), unsafe.Sizeof(*raw)); err != nil {
		return ProgramInfo{}, fmt.Errorf("info of program %s: %w", p.name, err)
	}
	info := ProgramInfo{
		ID: raw.id, Type: ebpf.ProgramType(raw.typ), Name: cText(raw.name[:]), Tag: hex.EncodeToString(raw.tag[:]),
		Loaded: time.Duration(raw.loadTime), UID: raw.uid, TranslatedSize: raw.translatedSize, JITedSize: raw.jitedSize,
		VerifiedInsns: raw.verified, Memlock: memlock(p.fd), GPL: raw.gpl != 0, BTF: raw.btf,
		RunCount: raw.runCount, RunTime: time.Duration(raw.runTime), RecursionMisses: raw.recursed,
	}
	if n := raw.mapCount; n > 0 {
		info.Maps = make([]uint32, n)
		again := &rawProgramInfo{mapCount: n, maps: userPointer{ptr: unsafe.Pointer(&info.Maps[0])}}
		if err := objectInfo(p.fd, unsafe.Pointer(again), unsafe.Sizeof(*again)); err != nil {
			return ProgramInfo{}, fmt.Errorf("info of program %s: list its maps: %w", p.name, err)
		}
		info.Maps = info.Maps[:min(n, again.mapCount)] // maps can be added to a program, but none go
	}
	return info, nil
}

// memlock reads how much memory is charged for a descriptor; zero if the kernel does not tell.
func memlock(fd int) uint64 {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if rest, ok := strings.CutPrefix(string(line), "memlock:"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(rest), 10, 64)
			return n
		}
	}
	return 0
}

// EnableStats makes the kernel count how often and how long every program of the machine runs, which costs each run some tens of
// nanoseconds, until it is closed. Requires at least Linux 5.8 and CAP_SYS_ADMIN.
func EnableStats() (io.Closer, error) {
	const what = "count runs of programs"
	c, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, unix.EINVAL) && tooOld(kernel.Version{Major: 5, Minor: 8}):
		return nil, &UnsupportedError{Feature: what, Need: "Linux 5.8, or the setting kernel.bpf_stats_enabled", Cause: err}
	case errors.Is(err, unix.EPERM):
		if e := lacks(what, []kernel.Cap{kernel.CapSysAdmin}, err); e != nil {
			return nil, e
		}
	}
	return nil, fmt.Errorf("%s: %w", what, err)
}

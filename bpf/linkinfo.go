package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// LinkKind is the kernel's type of a link, as bpftool names it.
type LinkKind string

// The kinds of links. The version after each is the first Linux that has it.
const (
	LinkNone          LinkKind = ""               // attached without a link of the kernel's
	LinkRawTracepoint LinkKind = "raw_tracepoint" // 5.7; also tp_btf
	LinkTracing       LinkKind = "tracing"        // 5.7; fentry, fexit, fmod_ret, lsm, freplace
	LinkCgroup        LinkKind = "cgroup"         // 5.7; also sockops, lsm_cgroup
	LinkIter          LinkKind = "iter"           // 5.8
	LinkNetns         LinkKind = "netns"          // 5.8
	LinkXDP           LinkKind = "xdp"            // 5.9
	LinkPerfEvent     LinkKind = "perf_event"     // 5.15; tracepoint, kprobe, perf_event; uprobe and usdt before 6.10
	LinkKprobeMulti   LinkKind = "kprobe_multi"   // 5.18
	LinkStructOps     LinkKind = "struct_ops"     // 6.4
	LinkNetfilter     LinkKind = "netfilter"      // 6.4
	LinkTCX           LinkKind = "tcx"            // 6.6
	LinkUprobeMulti   LinkKind = "uprobe_multi"   // 6.6; from 6.10 on also uprobe, uretprobe and usdt
	LinkNetkit        LinkKind = "netkit"         // 6.7
	LinkSockmap       LinkKind = "sockmap"        // 6.10
)

var linkKinds = [...]LinkKind{
	LinkNone, LinkRawTracepoint, LinkTracing, LinkCgroup, LinkIter, LinkNetns, LinkXDP, LinkPerfEvent, LinkKprobeMulti,
	LinkStructOps, LinkNetfilter, LinkTCX, LinkUprobeMulti, LinkNetkit, LinkSockmap,
}

// LinkInfo is what the kernel tells about a link. Fields that do not belong to its kind, or that this kernel does not tell, are zero.
type LinkInfo struct {
	// ID is the kernel's number of the link, Program that of the attached program. ID is zero where the kernel has no link.
	ID, Program uint32
	// Kind is the kernel's type of link, Type its number.
	Kind LinkKind
	Type uint32
	// Count is how many places one link is attached to (kprobe_multi, uprobe_multi), or how many links there are (one for each CPU for
	// perf_event); else one. The other fields are of the first.
	Count int
	// AttachType is the kind of event (cgroup, netns, tcx, netkit, tracing, sockmap).
	AttachType ebpf.AttachType
	// Interface is the number of the network device (xdp, tcx, netkit); zero if it is detached or the device is gone.
	Interface uint32
	// Cgroup is the number of the cgroup (cgroup, iter); zero if it is detached or the cgroup is gone.
	Cgroup uint64
	// Netns is the inode of the network namespace (netns); zero if it is detached or the namespace is gone.
	Netns uint32
	// Map is the kernel's number of a map (struct_ops, sockmap, iterators over the entries of a map).
	Map uint32
	// Name is the tracepoint, the kernel's function (kprobe), the file (uprobe, uprobe_multi) or the kind of iterator.
	Name string
	// Offset is in the function or the file, of one place; Address is the kernel's address of a kprobe, if it may be seen.
	Offset, Address uint64
	// Missed is how often a kprobe did not run because another one was running on the CPU. Linux 6.7.
	Missed uint64
	// Cookie is what the program gets from bpf_get_attach_cookie, where the kernel tells it (Linux 6.9 and later, by kind).
	Cookie uint64
	// PID is the process that a link is limited to (uprobe_multi, iter).
	PID uint32
	// PerfType and PerfConfig are the event as perf knows it (perf_event).
	PerfType   uint32
	PerfConfig uint64
	// Family, Chain and Priority are the place in netfilter, as numbers.
	Family, Chain uint32
	Priority      int32
	// TargetObject and TargetType are the BTF object and type that a tracing program is attached to.
	TargetObject, TargetType uint32
}

// Info tells what the kernel knows about the link. Where the kernel has no link (see [Link.Mode]) it has only the program's number.
// Requires at least Linux 5.8.
func (l *Link) Info() (LinkInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return LinkInfo{}, fmt.Errorf("info of %s: %w", l, errLinkClosed)
	}
	if len(l.raw) == 0 {
		info := LinkInfo{Count: 1}
		if p, err := l.prog.Load().Info(); err == nil {
			info.Program = p.ID
		}
		return info, nil
	}
	info, err := linkInfo(l.raw[0])
	if errors.Is(err, unix.EINVAL) || errors.Is(err, link.ErrNotSupported) {
		err = &UnsupportedError{Feature: "info of links", Need: "Linux 5.8", Cause: err}
	}
	if err != nil {
		return LinkInfo{}, fmt.Errorf("info of %s: %w", l, err)
	}
	if len(l.raw) > 1 {
		info.Count = len(l.raw)
	}
	return info, nil
}

// rawLinkInfo is struct bpf_link_info: numbers, then a union that is larger in newer kernels.
type rawLinkInfo struct {
	typ, id, prog, _ uint32
	more             [96]byte
}

func (r *rawLinkInfo) u32(at int) uint32 { return binary.NativeEndian.Uint32(r.more[at:]) }
func (r *rawLinkInfo) u64(at int) uint64 { return binary.NativeEndian.Uint64(r.more[at:]) }

func (r *rawLinkInfo) ask(fd int) error {
	return objectInfo(fd, unsafe.Pointer(r), unsafe.Sizeof(*r))
}

// linkInfo asks the kernel about one link.
func linkInfo(l link.Link) (LinkInfo, error) {
	h, ok := l.(interface{ FD() int })
	if !ok {
		return LinkInfo{}, link.ErrNotSupported
	}
	var r rawLinkInfo
	if err := r.ask(h.FD()); err != nil {
		return LinkInfo{}, err
	}
	info := LinkInfo{ID: r.id, Program: r.prog, Type: r.typ, Count: 1}
	if int(r.typ) < len(linkKinds) {
		info.Kind = linkKinds[r.typ]
	} else {
		info.Kind = LinkKind(fmt.Sprintf("type %d", r.typ))
	}
	info.fill(&r, h.FD())
	return info, nil
}

// fill reads the part that depends on the kind. Offsets are those of the union in struct bpf_link_info.
func (i *LinkInfo) fill(r *rawLinkInfo, fd int) {
	switch i.Kind {
	case LinkRawTracepoint:
		i.Name, i.Cookie = linkText(fd, 0, 8), r.u64(16)
	case LinkTracing:
		i.AttachType, i.TargetObject, i.TargetType, i.Cookie = ebpf.AttachType(r.u32(0)), r.u32(4), r.u32(8), r.u64(16)
	case LinkCgroup:
		i.Cgroup, i.AttachType = r.u64(0), ebpf.AttachType(r.u32(8))
	case LinkIter:
		i.Name = linkText(fd, 0, 8)
		switch i.Name {
		case "cgroup":
			i.Cgroup = r.u64(16)
		case "task", "task_file", "task_vma":
			i.PID = r.u32(20)
		default:
			i.Map = r.u32(12)
		}
	case LinkNetns:
		i.Netns, i.AttachType = r.u32(0), ebpf.AttachType(r.u32(4))
	case LinkXDP:
		i.Interface, i.AttachType = r.u32(0), ebpf.AttachXDP
	case LinkTCX, LinkNetkit:
		i.Interface, i.AttachType = r.u32(0), ebpf.AttachType(r.u32(4))
	case LinkKprobeMulti:
		i.Count, i.Missed = int(r.u32(8)), r.u64(16)
	case LinkUprobeMulti:
		i.Name, i.Count, i.PID = linkText(fd, 0, 32), int(r.u32(36)), r.u32(44)
		if i.Count == 1 {
			i.Offset, i.Cookie = onePlace(fd)
		}
	case LinkStructOps:
		i.Map = r.u32(0)
	case LinkSockmap:
		i.Map, i.AttachType = r.u32(0), ebpf.AttachType(r.u32(4))
	case LinkNetfilter:
		i.Family, i.Chain, i.Priority = r.u32(0), r.u32(4), int32(r.u32(8))
	case LinkPerfEvent:
		i.fillPerf(r, fd)
	}
}

// fillPerf reads what kind of perf event a link is on. Linux 6.6 tells it.
func (i *LinkInfo) fillPerf(r *rawLinkInfo, fd int) {
	const uprobe, uretprobe, kprobe, kretprobe, tracepoint, event = 1, 2, 3, 4, 5, 6
	switch r.u32(0) {
	case uprobe, uretprobe:
		i.Name, i.Offset, i.Cookie = linkText(fd, 8, 16), uint64(r.u32(20)), r.u64(24)
	case kprobe, kretprobe:
		i.Name, i.Offset, i.Address = linkText(fd, 8, 16), uint64(r.u32(20)), r.u64(24)
		i.Missed, i.Cookie = r.u64(32), r.u64(40)
	case tracepoint:
		i.Name, i.Cookie = linkText(fd, 8, 16), r.u64(24)
		i.PerfType = unix.PERF_TYPE_TRACEPOINT
	case event:
		i.PerfConfig, i.PerfType, i.Cookie = r.u64(8), r.u32(16), r.u64(24)
	}
}

// onePlace asks for the offset and the cookie of a uprobe_multi link with one place.
func onePlace(fd int) (offset, cookie uint64) {
	out := new([2]uint64)
	var pin runtime.Pinner
	pin.Pin(out)
	defer pin.Unpin()
	var r rawLinkInfo
	binary.NativeEndian.PutUint64(r.more[8:], uint64(uintptr(unsafe.Pointer(&out[0]))))
	binary.NativeEndian.PutUint64(r.more[24:], uint64(uintptr(unsafe.Pointer(&out[1]))))
	binary.NativeEndian.PutUint32(r.more[36:], 1)
	if err := r.ask(fd); err != nil {
		return 0, 0
	}
	return out[0], out[1]
}

// linkText asks for a text of a link: at and size are where the union holds its address and its length.
func linkText(fd, at, size int) string {
	const longest = 4096
	buf := make([]byte, longest)
	// The kernel's struct holds the address as a number; the pinner keeps the buffer where it is.
	var pin runtime.Pinner
	pin.Pin(&buf[0])
	defer pin.Unpin()
	var r rawLinkInfo
	binary.NativeEndian.PutUint64(r.more[at:], uint64(uintptr(unsafe.Pointer(&buf[0]))))
	binary.NativeEndian.PutUint32(r.more[size:], longest)
	if err := r.ask(fd); err != nil {
		return ""
	}
	return cText(buf)
}

package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
)

// XDPMode says how an XDP program is put on an interface.
type XDPMode string

// The modes of XDP.
const (
	XDPAuto    XDPMode = ""        // native if the driver can, else generic
	XDPNative  XDPMode = "native"  // in the driver, before a packet buffer exists
	XDPGeneric XDPMode = "generic" // in the stack, on every interface, slower
	XDPOffload XDPMode = "offload" // in the network card
)

// Direction is the way of a packet, as the host sees it.
type Direction string

// The directions of packets.
const (
	DirectionAuto Direction = ""        // what the section name says, else ingress
	Ingress       Direction = "ingress" // coming in
	Egress        Direction = "egress"  // going out
)

// ErrTarget is matched by every error that means: the [Target] is missing, cannot be read or does not exist.
var ErrTarget = errors.New("no usable target")

// Target says where a program is to be attached. The zero value means: where the section name says, for hooks where it says it.
// A hook looks only at its own fields.
type Target struct {
	// Interface is the name of a network device in the current network namespace (xdp, tc, tcx, netkit).
	Interface string
	// Mode is how XDP is to run. Empty means native if the driver can, else generic.
	Mode XDPMode
	// Direction is used by tc and cgroup/skb programs whose section name does not say it. Empty means ingress.
	Direction Direction
	// Cgroup is a directory of cgroup v2 (cgroup, sockops, lsm_cgroup): an absolute path, or one relative to the root of cgroup v2.
	// "." is the root itself.
	Cgroup string
	// Path is a program or library (uprobe, usdt) or a device (lirc). A bare name such as "libc.so.6", "libc" or "bash" is looked up.
	// With a PID, the path is the one that the process sees.
	Path string
	// Symbol is a function (uprobe, kprobe), a pattern with * and ? (multi), "category/name" (tracepoint), a tracepoint's name
	// (raw_tracepoint) or "provider:name" (usdt).
	Symbol string
	// Offset in bytes is added to Symbol; without a Symbol it is the offset in the file at Path.
	Offset uint64
	// PID limits uprobe, usdt and perf_event to one process. Zero means all.
	PID int
	// Netns is the path of a network namespace (sk_lookup, flow_dissector); a bare name means one made by "ip netns". Empty means
	// the calling thread's own.
	Netns string
	// Map is the sockmap of sk_msg and sk_skb, the map an iterator walks, or the map of a struct_ops.
	Map *Map
	// MapName names a map of the same object; used when Map is nil.
	MapName string
	// Socket is the file descriptor of a socket (socket, sk_reuseport); the caller keeps it. Zero means none.
	Socket int
	// Program is the program whose function a freplace program replaces. Nil means the one that was set when it was loaded.
	Program *Program
	// Family is "ipv4" or "ipv6" (netfilter). Empty means ipv4.
	Family string
	// Chain is "prerouting", "input", "forward", "output" or "postrouting" (netfilter). Empty means input.
	Chain string
	// Priority orders netfilter hooks; lower runs earlier, and each BPF program in a chain needs its own.
	Priority int
	// Frequency is in samples per second (perf_event). Zero means 99, unless there is a Period.
	Frequency uint64
	// Period is the number of events between two samples (perf_event), in place of a Frequency.
	Period uint64
	// PerfType and PerfConfig are the event that samples are taken of, as perf_event_open(2) takes them: PERF_TYPE_HARDWARE and
	// PERF_COUNT_HW_CACHE_MISSES, for example. Both zero mean the software clock, which every machine has, unless Perf is set: then
	// they are the cycles of the CPU.
	PerfType, PerfConfig uint64
	Perf                 bool
	// Cookie is what bpf_get_attach_cookie gives to a tracing program. Requires at least Linux 5.15; zero means none.
	Cookie uint64
	// Symbols are the functions of the multi hooks, exactly these, in place of a Symbol. Cookies has one for each, or is empty.
	Symbols []string
	Cookies []uint64
	// Place is where a program goes among others at the same hook (tcx, netkit; tc where it is tcx; cgroup from Linux 6.17 on). Before
	// and after need an Anchor or an AnchorProgram that is attached there; on a cgroup what a link attached is an anchor by that link.
	Place         Place
	Anchor        *Link
	AnchorProgram *Program
	// TID limits an iterator over tasks to one thread, PID to the threads of one process. Linux 6.1.
	TID int
	// MaxLinks is how many links of the kernel's one attach may take: each place of a usdt probe (unless the program is loaded for
	// uprobe.multi), each CPU and each thread of a perf_event is one. Beyond, the error matches ErrTooManyLinks. Zero means no limit.
	MaxLinks int
	// Order is in which order an iterator over cgroups visits them, from Cgroup on. Empty means CgroupDescendants.
	Order CgroupOrder
}

// Place is where a program goes among others at the same hook.
type Place string

// The places.
const (
	PlaceAuto   Place = ""       // last
	PlaceFirst  Place = "first"  // before all others
	PlaceLast   Place = "last"   // after all others
	PlaceBefore Place = "before" // before the anchor
	PlaceAfter  Place = "after"  // after the anchor
)

// CgroupOrder is in which order an iterator visits cgroups.
type CgroupOrder string

// The orders. Requires at least Linux 6.1.
const (
	CgroupDescendants     CgroupOrder = ""     // a cgroup, then those below it
	CgroupDescendantsPost CgroupOrder = "post" // those below it, then the cgroup
	CgroupAncestors       CgroupOrder = "up"   // the cgroup, then those above it
	CgroupSelf            CgroupOrder = "self" // only the cgroup
)

// hasSymbol reports whether a target says where in a file or in the kernel.
func (t Target) hasSymbol() bool { return t.Symbol != "" || t.Offset != 0 || len(t.Symbols) > 0 }

// or fills what t leaves open from what the section name says.
func (t Target) or(section Target) Target {
	if t.Path == "" && !t.hasSymbol() {
		t.Path, t.Symbol, t.Offset, t.Symbols = section.Path, section.Symbol, section.Offset, section.Symbols
	}
	t.Path = cmp.Or(t.Path, section.Path)
	t.PID = cmp.Or(t.PID, section.PID)
	return t
}

// targetError is a target that cannot be used, and what to give instead. It matches [ErrTarget].
type targetError struct {
	text  string
	cause error
}

func (e *targetError) Error() string        { return e.text }
func (e *targetError) Is(target error) bool { return target == ErrTarget }
func (e *targetError) Unwrap() error        { return e.cause }

func badTarget(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &targetError{text: err.Error(), cause: errors.Unwrap(err)}
}

// noSuch is a target that does not exist. It matches [os.ErrNotExist] without saying so a second time.
func noSuch(format string, args ...any) error {
	return &targetError{text: fmt.Sprintf(format, args...), cause: os.ErrNotExist}
}

// noTarget says that a hook needs to be told where, and how.
func noTarget(what, example string) error {
	return badTarget("no %s given; for example %s", what, example)
}

// hold keeps what a target refers to open until the returned function is called.
func (t Target) hold() (release func(), err error) {
	var held []func()
	release = func() {
		for _, f := range held {
			f()
		}
	}
	if m := t.Map; m != nil {
		if !m.use.enter() {
			return nil, badTarget("map %s: %w", m.name, os.ErrClosed)
		}
		held = append(held, m.leave)
	}
	for _, p := range []*Program{t.Program, t.AnchorProgram} {
		if p == nil {
			continue
		}
		if !p.enter() {
			release()
			return nil, badTarget("program %s: %w", p.name, os.ErrClosed)
		}
		held = append(held, p.leave)
	}
	if l := t.Anchor; l != nil {
		l.mu.Lock()
		held = append(held, l.mu.Unlock)
	}
	return release, nil
}

package abi

// Number is one named number of the contract.
type Number struct {
	Name  string
	Value uint64
	Doc   string
}

// Enum is a set of numbers that belong together: the values of a parameter, or flags.
type Enum struct {
	// Name is the set's name; in C its numbers are EBPF_<NAME>_<NUMBER>.
	Name  string
	Doc   string
	Flags bool
	// Numbers are in order.
	Numbers []Number
}

// The kinds of objects that a handle can name.
const (
	KindObject  = 1
	KindMap     = 2
	KindProgram = 3
	KindLink    = 4
	KindEvents  = 5
	KindIter    = 6
	KindStats   = 7
	KindSocket  = 8
	KindProcess = 9
	KindCgroup  = 10
	KindFile    = 11
)

// What object_set_map sets.
const (
	MapMaxEntries = 1
	MapFlags      = 2
	MapKeySize    = 3
	MapValueSize  = 4
)

// What object_item lists.
const (
	ItemMap      = 1
	ItemProgram  = 2
	ItemVariable = 3
)

// Flags of object_load and program_load.
const (
	LoadNoLossCount = 1
	LoadLog         = 2
)

// Flags of map operations. All but the last two are the kernel's own numbers.
const (
	UpdateAny     = 0
	UpdateNoExist = 1
	UpdateExist   = 2
	UpdateLock    = 4
	OneCPU        = 8
	AllCPUs       = 16
)

// Ways of attaching an XDP program.
const (
	XDPAuto    = 0
	XDPNative  = 1
	XDPGeneric = 2
	XDPOffload = 3
)

// Directions of packets.
const (
	DirectionAuto = 0
	Ingress       = 1
	Egress        = 2
)

// Places in a chain of programs on one hook.
const (
	PlaceDefault = 0
	PlaceFirst   = 1
	PlaceLast    = 2
	PlaceBefore  = 3
	PlaceAfter   = 4
)

// Families of netfilter hooks, and their chains.
const (
	FamilyIPv4 = 2
	FamilyIPv6 = 10

	ChainPrerouting  = 0
	ChainInput       = 1
	ChainForward     = 2
	ChainOutput      = 3
	ChainPostrouting = 4
)

// Flags of a frame in a batch of events.
const (
	FrameTruncated = 1
)

// Flags of a batch and of event sources.
const (
	BatchMore    = 1
	BatchInexact = 2
)

// Options of an event source.
const (
	EventsTruncate = 1
)

// What kernel_probe asks about.
const (
	ProbeProgram = 1
	ProbeMap     = 2
	ProbeHelper  = 3
	ProbeHook    = 4
)

// The clocks, with the kernel's numbers.
const (
	ClockMonotonic = 1
	ClockBoottime  = 7
	ClockTAI       = 11
)

// Flags of a test run.
const (
	RunLiveFrames = 1
	RunOnCPU      = 2
)

// Flags in kernel_info.
const (
	KernelBigEndian = 1
	KernelHasBTF    = 2
	KernelJIT       = 4
)

// Flags of an item.
const (
	ItemConstant = 1
	ItemOptional = 2
	ItemInternal = 4
)

// Flags in map_info.
const (
	MapFrozen = 1
)

// Enums lists every set of numbers. Each call returns a new slice.
func Enums() []Enum {
	return []Enum{
		{Name: "kind", Doc: "The kinds of objects that a handle can name.", Numbers: []Number{
			{"object", KindObject, "A BPF object: programs, maps and variables of one ELF file."},
			{"map", KindMap, "A map."},
			{"program", KindProgram, "A loaded program."},
			{"link", KindLink, "A program attached to a hook."},
			{"events", KindEvents, "A reader of ring buffers and perf arrays."},
			{"iter", KindIter, "One run of an iterator program."},
			{"stats", KindStats, "Run-time statistics are on while it is open."},
			{"socket", KindSocket, "A socket of some process."},
			{"process", KindProcess, "A process."},
			{"cgroup", KindCgroup, "A control group (version 2)."},
			{"file", KindFile, "A file or directory."},
		}},
		{Name: "map_field", Doc: "What object_set_map sets.", Numbers: []Number{
			{"max_entries", MapMaxEntries, "The capacity in entries; of a ring buffer in bytes."},
			{"flags", MapFlags, "The kernel's BPF_F_* flags for creating a map."},
			{"key_size", MapKeySize, "The length of a key in bytes."},
			{"value_size", MapValueSize, "The length of a value in bytes."},
		}},
		{Name: "item", Doc: "What object_item lists.", Numbers: []Number{
			{"map", ItemMap, "Maps, by name."},
			{"program", ItemProgram, "Programs, by position in the file."},
			{"variable", ItemVariable, "Global variables, by name."},
		}},
		{Name: "item_flag", Doc: "Properties of an item.", Flags: true, Numbers: []Number{
			{"constant", ItemConstant, "A variable that cannot be set after the load."},
			{"optional", ItemOptional, "A program that is not loaded unless object_set_autoload says so."},
			{"internal", ItemInternal, "A map that holds global variables."},
		}},
		{Name: "load", Doc: "Flags of object_load and program_load.", Flags: true, Numbers: []Number{
			{"no_loss_count", LoadNoLossCount, "Leave the programs exactly as they are written; lost records are then not counted."},
			{"log", LoadLog, "Keep the verifier's log also of programs that it accepts, for program_log."},
		}},
		{Name: "update", Doc: "Flags of map_update and of look-ups.", Flags: true, Numbers: []Number{
			{"any", UpdateAny, "Create the entry or replace it."},
			{"noexist", UpdateNoExist, "Only if there is no such key."},
			{"exist", UpdateExist, "Only if there is such a key."},
			{"lock", UpdateLock, "Hold the value's spin lock while it is copied."},
			{"cpu", OneCPU, "Per-CPU maps: one CPU's value, whose number is in the upper 32 bits."},
			{"all_cpus", AllCPUs, "Per-CPU maps: one value for all CPUs."},
		}},
		{Name: "map_state", Doc: "Flags in map_info.state.", Flags: true, Numbers: []Number{
			{"frozen", MapFrozen, "User space cannot write to it any more."},
		}},
		{Name: "xdp", Doc: "How an XDP program is put on an interface.", Numbers: []Number{
			{"auto", XDPAuto, "Native if the driver can, else generic; link_info says which it became."},
			{"native", XDPNative, "In the driver."},
			{"generic", XDPGeneric, "In the stack, on every interface, slower."},
			{"offload", XDPOffload, "In the network card."},
		}},
		{Name: "direction", Doc: "The way of a packet, as the host sees it.", Numbers: []Number{
			{"auto", DirectionAuto, "What the section name says, else ingress."},
			{"ingress", Ingress, "Coming in."},
			{"egress", Egress, "Going out."},
		}},
		{Name: "place", Doc: "Where in a chain of programs on one hook.", Numbers: []Number{
			{"default", PlaceDefault, "The kernel's choice, which is last."},
			{"first", PlaceFirst, "Before all others."},
			{"last", PlaceLast, "After all others."},
			{"before", PlaceBefore, "Before the anchor."},
			{"after", PlaceAfter, "After the anchor."},
		}},
		{Name: "family", Doc: "Protocol families of netfilter hooks.", Numbers: []Number{
			{"ipv4", FamilyIPv4, "IPv4 (NFPROTO_IPV4)."},
			{"ipv6", FamilyIPv6, "IPv6 (NFPROTO_IPV6)."},
		}},
		{Name: "chain", Doc: "Netfilter hooks (enum nf_inet_hooks).", Numbers: []Number{
			{"prerouting", ChainPrerouting, "Before the routing decision."},
			{"input", ChainInput, "For this host."},
			{"forward", ChainForward, "Through this host."},
			{"output", ChainOutput, "From this host."},
			{"postrouting", ChainPostrouting, "After the routing decision."},
		}},
		{Name: "frame", Doc: "Flags of a frame.", Flags: true, Numbers: []Number{
			{"truncated", FrameTruncated, "The record was longer; only its beginning is here."},
		}},
		{Name: "batch", Doc: "Flags of a batch and of a source.", Flags: true, Numbers: []Number{
			{"more", BatchMore, "More records are waiting."},
			{"inexact", BatchInexact, "The number of lost records is not exact; last_error after events_add says why."},
		}},
		{Name: "events", Doc: "Flags of an event source.", Flags: true, Numbers: []Number{
			{"truncate", EventsTruncate, "Cut a record that does not fit into the buffer, instead of answering MSGSIZE."},
		}},
		{Name: "probe", Doc: "What kernel_probe asks about.", Numbers: []Number{
			{"program", ProbeProgram, "A program type: \"xdp\"."},
			{"map", ProbeMap, "A map type: \"ringbuf\"."},
			{"helper", ProbeHelper, "A helper for a program type: \"xdp:bpf_fib_lookup\"."},
			{"hook", ProbeHook, "A hook, as section names have it: \"kprobe.multi\"."},
		}},
		{Name: "clock", Doc: "Clocks of the kernel, with its numbers.", Numbers: []Number{
			{"monotonic", ClockMonotonic, "As bpf_ktime_get_ns."},
			{"boottime", ClockBoottime, "As bpf_ktime_get_boot_ns."},
			{"tai", ClockTAI, "As bpf_ktime_get_tai_ns."},
		}},
		{Name: "run", Doc: "Flags of program_test_run.", Flags: true, Numbers: []Number{
			{"live_frames", RunLiveFrames, "XDP: the frames are really sent, redirected or passed to the stack (Linux 5.18)."},
			{"on_cpu", RunOnCPU, "Run on the CPU given in test_run.cpu."},
		}},
		{Name: "kernel_flag", Doc: "Properties of the kernel.", Flags: true, Numbers: []Number{
			{"big_endian", KernelBigEndian, "Keys, values and records are big-endian."},
			{"btf", KernelHasBTF, "The kernel has its type information (BTF)."},
			{"jit", KernelJIT, "Programs are compiled to machine code."},
		}},
	}
}

package abi

import (
	"reflect"
	"strings"
)

// The structures that lie in guest memory. All numbers are little-endian, whatever the host is. Every field is aligned to its
// size and nothing is padded implicitly. Their layouts never change within a major version; a longer structure of a later minor
// version is taken if what this version does not know is zero, and of a shorter one the missing rest counts as zero.

// Span is a piece of guest memory.
type Span struct {
	Ptr uint32 `doc:"Where it begins."`
	Len uint32 `doc:"How many bytes."`
}

// Item is what object_item writes; the name and the section follow it without padding.
type Item struct {
	Type       uint32 `doc:"The kernel's map or program type (enum bpf_map_type, bpf_prog_type); of a variable 0."`
	KeySize    uint32 `doc:"Of a map, in bytes."`
	ValueSize  uint32 `doc:"Of a map, in bytes; of a variable, its size."`
	MaxEntries uint32 `doc:"Of a map."`
	Flags      uint32 `doc:"The kernel's flags of a map."`
	Properties uint32 `doc:"Of item_flag."`
	Insns      uint32 `doc:"Of a program, its number of instructions."`
	NameLen    uint32 `doc:"Length of the name that follows."`
	SectionLen uint32 `doc:"Length of the section that follows the name: of a program its ELF section, of a variable the map that it lies in."`
	Reserved   uint32 `doc:"0."`
}

// MapOptions describe a map to create.
type MapOptions struct {
	Type       uint32 `doc:"The kernel's map type (enum bpf_map_type)."`
	KeySize    uint32 `doc:"In bytes."`
	ValueSize  uint32 `doc:"In bytes; of per-CPU maps, of one value."`
	MaxEntries uint32 `doc:"Capacity in entries; of a ring buffer in bytes."`
	Flags      uint32 `doc:"The kernel's BPF_F_* flags."`
	Inner      int32  `doc:"Of a map of maps: the handle of a map like those that it will hold. Else 0."`
	Reserved   uint64 `doc:"0."`
}

// MapInfo describes a map.
type MapInfo struct {
	ID         uint32   `doc:"The kernel's number of the map, as bpftool shows it."`
	Type       uint32   `doc:"The kernel's map type."`
	KeySize    uint32   `doc:"In bytes; 0 for queues, stacks and Bloom filters."`
	ValueSize  uint32   `doc:"Of one value, in bytes."`
	MaxEntries uint32   `doc:"Capacity in entries; of a ring buffer in bytes."`
	Flags      uint32   `doc:"The kernel's BPF_F_* flags."`
	State      uint32   `doc:"Of map_state."`
	Values     uint32   `doc:"Values per entry: 1, or the number of possible CPUs."`
	EntrySize  uint32   `doc:"Bytes that a look-up writes: value_size, or that padded to 8 bytes and times values."`
	CursorSize uint32   `doc:"Bytes of a cursor for batches."`
	Memory     uint64   `doc:"Kernel memory in bytes as the kernel accounts it; 0 if it does not tell."`
	Name       [16]byte `doc:"The kernel's name, NUL-terminated."`
}

// ProgramOptions describe a program that the guest has generated.
type ProgramOptions struct {
	Name       Span   `doc:"For people: the kernel keeps 15 bytes, with _ for what it does not take."`
	Section    Span   `doc:"An ELF section name such as \"xdp\" or \"tp_btf/sched_switch\", which says type, hook and place. Empty if type says it."`
	License    Span   `doc:"For example \"GPL\", which many helpers want."`
	Insns      Span   `doc:"struct bpf_insn, in the kernel's byte order. Where the kernel wants the descriptor of a map (BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE), imm is a handle."`
	AttachTo   Span   `doc:"What the program is attached to at load: a function, type or LSM hook; empty for what the section says."`
	Type       uint32 `doc:"enum bpf_prog_type; looked at if section is empty."`
	AttachType uint32 `doc:"enum bpf_attach_type; looked at if section is empty."`
	Target     int32  `doc:"The program that freplace replaces or fentry traces; else 0."`
	Flags      uint32 `doc:"Of load."`
}

// ProgramInfo describes a loaded program.
type ProgramInfo struct {
	ID              uint32   `doc:"The kernel's number of the program."`
	Type            uint32   `doc:"enum bpf_prog_type."`
	LoadTime        uint64   `doc:"When it was loaded, in ns on the boot-time clock."`
	RunTime         uint64   `doc:"ns spent in it while statistics were on."`
	RunCount        uint64   `doc:"How often it ran while statistics were on."`
	RecursionMisses uint64   `doc:"How often it did not run because it was running."`
	Memory          uint64   `doc:"Kernel memory in bytes."`
	TranslatedSize  uint32   `doc:"Bytes of BPF code in the kernel."`
	JITedSize       uint32   `doc:"Bytes of machine code; 0 if it is interpreted."`
	VerifiedInsns   uint32   `doc:"Instructions that the verifier walked (Linux 5.16), else 0."`
	Maps            uint32   `doc:"Number of maps it uses."`
	Tag             [8]byte  `doc:"The kernel's hash of its code."`
	Name            [16]byte `doc:"The kernel's name, NUL-terminated."`
}

// TestRun is the input and the outcome of program_test_run.
type TestRun struct {
	DataIn      Span   `doc:"The packet."`
	DataOut     Span   `doc:"Room for the packet afterwards, or none if it is not wanted; len becomes its whole length."`
	CtxIn       Span   `doc:"The context, for program types that take one."`
	CtxOut      Span   `doc:"Room for the context afterwards, or none if it is not wanted; len becomes its whole length."`
	Duration    uint64 `doc:"Written: ns of one run, in the mean."`
	Repeat      uint32 `doc:"How often to run; 0 and 1 are once."`
	CPU         uint32 `doc:"With on_cpu."`
	Flags       uint32 `doc:"Of run."`
	BatchSize   uint32 `doc:"With live_frames: frames in a batch, 0 for the kernel's choice."`
	ReturnValue uint32 `doc:"Written: what the program returned."`
	Reserved    uint32 `doc:"0."`
}

// Target says where a program is attached. Each hook looks only at the fields that the table of hooks names; the others must be 0.
type Target struct {
	Name       Span   `doc:"An interface, a cgroup, a file, a network namespace or a device: by its real name or by a local name that the host gives."`
	Symbol     Span   `doc:"A function, a pattern with * and ?, names separated by commas (multi hooks), \"category/name\" of a tracepoint, or \"provider:name\" (USDT)."`
	Offset     uint64 `doc:"Added to symbol, in bytes; without a symbol, in the file."`
	Cookie     uint64 `doc:"What bpf_get_attach_cookie answers (Linux 5.15)."`
	Frequency  uint64 `doc:"Samples per second."`
	Period     uint64 `doc:"Events per sample, instead of frequency."`
	PerfConfig uint64 `doc:"attr.config of perf_event_open(2)."`
	PerfType   uint32 `doc:"attr.type of perf_event_open(2), plus 1; 0 is the CPU clock."`
	PID        int32  `doc:"Only this process; 0 is all."`
	Map        int32  `doc:"A map: of an iterator, sk_msg, sk_skb or struct_ops."`
	Program    int32  `doc:"The program whose function is replaced (freplace)."`
	Socket     int32  `doc:"A socket (socket filter, sk_reuseport)."`
	Mode       uint32 `doc:"Of xdp."`
	Direction  uint32 `doc:"Of direction."`
	Family     uint32 `doc:"Of family; 0 is IPv4."`
	Chain      uint32 `doc:"Of chain, plus 1; 0 is input."`
	Priority   int32  `doc:"Order of netfilter hooks; lower runs earlier."`
	Place      uint32 `doc:"Of place (tcx, netkit)."`
	Anchor     int32  `doc:"The link that place is relative to."`
	Reserved   uint64 `doc:"0."`
}

// LinkInfo describes a link.
type LinkInfo struct {
	ID        uint32 `doc:"The kernel's number of the link; 0 where the kernel has none for this way of attaching."`
	Type      uint32 `doc:"enum bpf_link_type."`
	ProgramID uint32 `doc:"The kernel's number of the program."`
	Mode      uint32 `doc:"Of xdp: how an XDP program runs. Else 0."`
	Interface uint32 `doc:"Index of the interface, else 0."`
	Kernel    uint32 `doc:"How many links the kernel has for it: 0, 1, or several for a program at several places."`
	Cgroup    uint64 `doc:"Id of the cgroup, else 0."`
}

// EventsOptions are the options of one source of events.
type EventsOptions struct {
	Flags      uint32 `doc:"Of events."`
	BufferSize uint32 `doc:"Of a perf array: bytes for each CPU, rounded up to a power of two of pages. 0 is the host's choice. Of a ring buffer 0."`
	Reserved   uint64 `doc:"0."`
}

// Frame is the head of a record in a batch. The data follows, padded with zeros to a multiple of 8 bytes.
type Frame struct {
	Size   uint32 `doc:"Length of the data in bytes, without padding."`
	Source uint16 `doc:"Which source it came from, as events_add numbered it."`
	Flags  uint16 `doc:"Of frame."`
}

// Batch is what events_read did.
type Batch struct {
	Bytes   uint32 `doc:"Bytes of frames in the buffer."`
	Records uint32 `doc:"Number of frames."`
	Lost    uint64 `doc:"Records that the kernel could not store since the last read, of all sources."`
	Flags   uint32 `doc:"Of batch."`
	Need    uint32 `doc:"With MSGSIZE: bytes that the next frame needs."`
}

// SourceStats are the totals of one source.
type SourceStats struct {
	Records uint64 `doc:"Records delivered."`
	Bytes   uint64 `doc:"Bytes delivered: frames, data and padding."`
	Lost    uint64 `doc:"Records that the kernel could not store."`
	Flags   uint32 `doc:"Of batch."`
	Pad     uint32 `doc:"0."`
}

// KernelInfo describes the kernel and the host.
type KernelInfo struct {
	Version     uint32   `doc:"Of Linux: major * 65536 + minor * 256 + patch (255 at most), as LINUX_VERSION_CODE."`
	Flags       uint32   `doc:"Of kernel_flag."`
	PageSize    uint32   `doc:"In bytes."`
	CPUs        uint32   `doc:"Possible CPUs: as many values as an entry of a per-CPU map has."`
	OnlineCPUs  uint32   `doc:"CPUs that run now."`
	PointerSize uint32   `doc:"Of the kernel, in bytes: 4 or 8."`
	Release     [64]byte `doc:"uname -r, NUL-terminated."`
	Machine     [16]byte `doc:"uname -m, NUL-terminated."`
}

// TypeInfo is what the kernel's BTF says about a type or a field.
type TypeInfo struct {
	BitOffset uint64 `doc:"From the start of the outermost type; 0 for a type itself."`
	BitSize   uint32 `doc:"Of a bit-field; else 8 * size."`
	Size      uint32 `doc:"In bytes."`
	Kind      uint32 `doc:"BTF_KIND_* behind typedefs and qualifiers."`
	ID        uint32 `doc:"BTF type id, 0 if it cannot be told."`
}

// Interface is one network device.
type Interface struct {
	Index uint32   `doc:"The kernel's number."`
	MTU   uint32   `doc:"In bytes."`
	Flags uint32   `doc:"IFF_* as netdevice(7) has them."`
	Pad   uint32   `doc:"0."`
	MAC   [8]byte  `doc:"Hardware address; two bytes of zeros behind an Ethernet address."`
	Name  [16]byte `doc:"NUL-terminated."`
}

// StructInfo is the layout of a structure.
type StructInfo struct {
	// Name is the name in the specification; in C it is struct ebpf_<name>.
	Name string
	Doc  string
	// Size is in bytes.
	Size   int
	Fields []Field
}

// Field is one field of a structure.
type Field struct {
	Name string
	// Type is u8, u16, u32, i32, u64, span, or u8[N].
	Type   string
	Offset int
	Size   int
	Doc    string
}

// Structs lists every structure. Each call returns a new slice.
func Structs() []StructInfo {
	return []StructInfo{
		layout("span", "A piece of guest memory.", Span{}),
		layout("item", "What object_item writes. The name and the section follow, without padding.", Item{}),
		layout("map_options", "A map to create.", MapOptions{}),
		layout("map_info", "A map.", MapInfo{}),
		layout("program_options", "A program that the guest has generated.", ProgramOptions{}),
		layout("program_info", "A loaded program.", ProgramInfo{}),
		layout("test_run", "The input and the outcome of a test run.", TestRun{}),
		layout("target", "Where a program is attached.", Target{}),
		layout("link_info", "A link.", LinkInfo{}),
		layout("events_options", "One source of events.", EventsOptions{}),
		layout("frame", "The head of a record in a batch. The data follows, padded with zeros to a multiple of 8 bytes.", Frame{}),
		layout("batch", "What events_read did.", Batch{}),
		layout("source_stats", "The totals of one source.", SourceStats{}),
		layout("kernel_info", "The kernel.", KernelInfo{}),
		layout("type_info", "What the kernel's BTF says about a type or a field.", TypeInfo{}),
		layout("interface", "A network device.", Interface{}),
	}
}

func layout(name, doc string, v any) StructInfo {
	t := reflect.TypeOf(v)
	s := StructInfo{Name: name, Doc: doc, Size: int(t.Size())}
	for i := range t.NumField() {
		f := t.Field(i)
		s.Fields = append(s.Fields, Field{
			Name: snake(f.Name), Type: fieldType(f.Type), Offset: int(f.Offset), Size: int(f.Type.Size()), Doc: f.Tag.Get("doc"),
		})
	}
	return s
}

func fieldType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Uint8:
		return "u8"
	case reflect.Uint16:
		return "u16"
	case reflect.Uint32:
		return "u32"
	case reflect.Int32:
		return "i32"
	case reflect.Uint64:
		return "u64"
	case reflect.Array:
		return fieldType(t.Elem()) + "[" + itoa(uint64(t.Len())) + "]"
	}
	return "span"
}

// snake turns KeySize into key_size and OnlineCPUs into online_cpus.
func snake(s string) string {
	var b strings.Builder
	for i, c := range s {
		if c >= 'A' && c <= 'Z' && i > 0 && s[i-1] >= 'a' && s[i-1] <= 'z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(c)))
	}
	return b.String()
}

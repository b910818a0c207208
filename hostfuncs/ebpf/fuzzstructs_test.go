package ebpf

import (
	"encoding/binary"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// fuzzTexts are texts that mean something, by parameter, or by function and parameter.
var fuzzTexts = map[string][]string{
	"name": {
		"hash", "array", "percpu", "queue", "stack", "jumps", "outer", "answer", "counter", "zeroed", "first", "second", "optional", "ring_a",
		"ring_b", "perf", "socks", "calls", "cpus", "emit", "emit_perf", "pass", "tc_pass", "ops", "out", "msg", "probe", "nowhere", "", ".bss",
	},
	"share.name": {"fuzz-a", "fuzz-b", "fuzz-c"}, "pin.name": {"fuzz-a", "fuzz-b", ".x", "a/b"}, "unpin.name": {"fuzz-a", "fuzz-b", ".."},
	"open_shared.name": {"fuzz-a", "fuzz-b", "fuzz-c"}, "open_pinned.name": {"fuzz-a", "fuzz-b", ""},
	"map_create.name":    {"made", "", "much_too_long_name", "a b", "x.y_z"},
	"kernel_probe.name":  {"xdp", "ringbuf", "xdp:bpf_fib_lookup", "kprobe.multi", "none", "xdp:", ":", "unspec", "tcx", "hash"},
	"kernel_symbol.name": {"schedule", "no_such_symbol", "", "_text"},
	"symbol":             {"sched/sched_switch", "sched_switch", "sched_process_exec", "task", "bpf_map_elem", "", "do_unlinkat", "getpid", "libc:setjmp", "a,b"},
	"type":               {"task_struct", "struct task_struct", "enum bpf_map_type", "", "struct", "pid_t"},
	"field":              {"", "comm[3]", "se.avg.load_avg", "pid", "comm[99]", ".", "[", "se..avg", "comm[-1]", "comm[18446744073709551615]"},
	"path":               {"group", "/proc/self/exe", "self", "/", "/no/such", "", ".", "/proc/self/mem", "/dev/null", "../.."},
}

// sections are places that programs of a script may be attached to: their programs run for a moment on this machine.
var sections = []string{
	"xdp", "tc", "tcx/ingress", "socket", "tracepoint/sched/sched_switch", "raw_tracepoint/sched_switch", "tp_btf/sched_switch", "sockops",
	"cgroup_skb/egress", "sk_lookup", "flow_dissector", "sk_msg", "sk_skb/stream_verdict", "uprobe", "perf_event", "iter/task", "syscall",
	"sk_reuseport", "kprobe", "lsm/file_open", "fentry/schedule", "struct_ops/x", "netfilter", "", "nonsense", "usdt", "lwt_in",
}

// structure makes one, sometimes too short, too long, or null.
func (s *calls) structure(p abi.Param) span {
	b := s.byte()
	if b >= 0xf0 && p.Optional {
		return span{}
	}
	var v any
	switch p.Of {
	case "map_options":
		v = s.mapOptions()
	case "program_options":
		v = s.programOptions()
	case "target":
		v = s.target()
	case "test_run":
		v = s.testRun()
	case "events_options":
		v = &abi.EventsOptions{Flags: uint32(s.number()), BufferSize: uint32(s.number()), Reserved: s.seldom()}
	}
	enc, err := binary.Append(nil, binary.LittleEndian, v)
	must(s.me.t, err)
	switch {
	case b >= 0xe8:
		enc = append(enc, make([]byte, 8)...)
	case b >= 0xe0:
		enc = append(enc, 0, 1)
	case b >= 0xd8:
		enc, s.skip = enc[:len(enc)/2], true // what was counted as bad may be cut off
	case b >= 0xd6:
		enc = append(enc, make([]byte, 4090)...)
		s.texts++ // TOOBIG
	}
	sp := s.put(enc)
	if p.Kind == abi.IOStruct {
		s.writable = append(s.writable, span{sp.ptr, min(sp.len, uint32(structSize(p.Of)))})
	}
	return sp
}

// seldom is zero mostly.
func (s *calls) seldom() uint64 {
	if s.rarely() {
		return s.number()
	}
	return 0
}

// inner is a handle in a structure.
func (s *calls) inner(kind uint32) int32 {
	if s.byte() < 0xc0 {
		return 0
	}
	return s.innerHandle(kind)
}

func (s *calls) innerHandle(kind uint32) int32 {
	h := s.pick(kind)
	if have, ok := s.me.open[h]; h != 0 && (!ok || have != kind) {
		s.nested++
	}
	if s.me.wild[h] {
		s.skip = true
	}
	return h
}

func (s *calls) mapOptions() *abi.MapOptions {
	b := s.byte()
	typ := uint32(b) % uint32(len(abi.MapTypes())+2)
	o := &abi.MapOptions{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: uint32(s.byte()%64) + 1}
	switch ebpf.MapType(typ) {
	case ebpf.RingBuf, ebpf.UserRingbuf:
		o.KeySize, o.ValueSize, o.MaxEntries = 0, 0, 4096
	case ebpf.Queue, ebpf.Stack, ebpf.BloomFilter:
		o.KeySize = 0
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		o.ValueSize, o.Inner = 4, s.innerHandle(abi.KindMap)
	case ebpf.ProgramArray, ebpf.PerfEventArray, ebpf.CGroupArray, ebpf.DevMap, ebpf.DevMapHash, ebpf.XSKMap:
		o.ValueSize = 4
	case ebpf.LPMTrie:
		o.KeySize = 8
	case ebpf.SkStorage, ebpf.TaskStorage, ebpf.InodeStorage, ebpf.CgroupStorage:
		o.MaxEntries = 0
	case ebpf.Arena:
		o.KeySize, o.ValueSize, o.Flags = 0, 0, 1<<10
	}
	switch s.byte() >> 4 {
	case 0:
		o.KeySize = uint32(s.number())
	case 1:
		o.ValueSize = uint32(s.number())
	case 2:
		o.MaxEntries = uint32(s.number())
	case 3:
		o.Flags = uint32(s.number())
	case 4:
		o.Reserved = s.number()
	case 5:
		o.Inner = s.innerHandle(abi.KindMap)
	}
	return o
}

// spanOf is a text or bytes in a structure.
func (s *calls) spanOf(b []byte) abi.Span {
	if s.rarely() {
		sp := s.bad()
		s.size = max(s.size, sp.len)
		return abi.Span{Ptr: sp.ptr, Len: sp.len}
	}
	sp := s.put(b)
	return abi.Span{Ptr: sp.ptr, Len: sp.len}
}

func (s *calls) programOptions() *abi.ProgramOptions {
	section := sections[int(s.byte())%len(sections)]
	o := &abi.ProgramOptions{
		Name: s.spanOf([]byte("made")), Section: s.spanOf([]byte(section)), License: s.spanOf([]byte("GPL")),
		Insns: s.spanOf(s.insns()), Flags: uint32(s.seldom()),
	}
	if s.rarely() {
		o.AttachTo = s.spanOf([]byte(fuzzTexts["symbol"][s.byte()%10]))
	}
	if section == "" {
		o.Type, o.AttachType = uint32(s.number()), uint32(s.number())
	}
	o.Target = s.inner(abi.KindProgram)
	return o
}

// insns are a harmless program, or any bytes, which are never run.
func (s *calls) insns() []byte {
	b := s.byte()
	m := s.me.find(abi.KindMap, s.byte())
	switch {
	case b < 0x60:
		return insns(s.me.t, asm.Mov.Imm(asm.R0, int32(b%3)), asm.Return())
	case b < 0xc0:
		return insns(s.me.t, asm.LoadMapPtr(asm.R1, int(m)), asm.Mov.Imm(asm.R0, 1), asm.Return())
	}
	s.wild = true
	code := insns(s.me.t, asm.LoadMapPtr(asm.R1, int(m)), asm.Mov.Imm(asm.R0, 1), asm.Return())
	for range b % 8 {
		code[int(s.byte())%len(code)] = s.byte()
	}
	return code
}

func (s *calls) target() *abi.Target {
	t := &abi.Target{}
	for n := s.byte() % 4; n > 0; n-- {
		switch s.byte() % 20 {
		case 0, 1, 2, 3:
			names := []string{"uplink", "va", "lo", "group", "self", "libc.so.6", "/no/such", "", "eth9"}
			t.Name = s.spanOf([]byte(names[int(s.byte())%len(names)]))
		case 4, 5:
			t.Symbol = s.spanOf([]byte(fuzzTexts["symbol"][s.byte()%10]))
		case 6:
			t.Offset = s.number()
		case 7:
			t.Cookie = s.number()
		case 8:
			t.Frequency = s.number() % 100
		case 9:
			t.Period = s.number() | 1<<20
		case 10:
			t.PerfConfig = s.number()
		case 11:
			t.PerfType = uint32(s.number())
		case 12:
			t.PID = int32(s.plain(abi.Param{Name: "pid"}))
		case 13:
			t.Map = s.innerHandle(abi.KindMap)
		case 14:
			t.Program = s.innerHandle(abi.KindProgram)
		case 15:
			t.Socket = s.innerHandle(abi.KindSocket)
		case 16:
			t.Mode, t.Direction, t.Place = uint32(s.byte()%5), uint32(s.byte()%4), uint32(s.byte()%6)
		case 17:
			t.Family, t.Chain, t.Priority = uint32(s.number()), uint32(s.number()), int32(s.number())
		case 18:
			t.Anchor = s.innerHandle(abi.KindLink)
		case 19:
			t.Reserved = s.seldom()
		}
	}
	return t
}

func (s *calls) testRun() *abi.TestRun {
	r := &abi.TestRun{Repeat: uint32(s.byte()), Flags: uint32(s.seldom()), CPU: uint32(s.seldom()), BatchSize: uint32(s.seldom()), Reserved: uint32(s.seldom())}
	if s.byte() < 0xc0 {
		r.DataIn = s.spanOf(make([]byte, 14+int(s.byte())))
	}
	if s.byte() >= 0x80 {
		ctx := make([]byte, []int{16, 16, 24, 192, 8}[s.byte()%5])
		for i := range 4 {
			binary.NativeEndian.PutUint32(ctx[min(4*i, len(ctx)-4):], uint32(s.byte()))
		}
		r.CtxIn = s.spanOf(ctx)
	}
	for _, out := range []*abi.Span{&r.DataOut, &r.CtxOut} {
		if s.byte() >= 0x80 {
			*out = s.spanOf(make([]byte, s.byte()))
			if uint64(out.Ptr)+uint64(out.Len) <= memoryEnd {
				s.writable = append(s.writable, span{out.Ptr, out.Len})
			}
		}
	}
	return r
}

// fuzzSeeds are scripts that reach each function with objects of each kind at hand.
func fuzzSeeds() (seeds [][]byte) {
	list := weighted(abi.Functions())
	step := func(name string, params ...byte) []byte {
		n := slices.IndexFunc(list, func(f abi.Func) bool { return f.Name == name })
		b := append([]byte{0, byte(n)}, params...)
		return append(b, make([]byte, stepLen-len(b))...)
	}
	section := func(name string) byte { return byte(slices.Index(sections, name)) }
	create := func(typ ebpf.MapType) []byte { return step("map_create", 0, 0, byte(typ), 15, 0xff) }
	attach := func(name byte) []byte { return step("link_attach", 0, 0, 0, 0, 1, 0, name) }
	for object := range byte(5) {
		for _, names := range [][2]byte{{13, 19}, {15, 20}, {0, 10}, {16, 21}, {17, 23}, {18, 26}} {
			seeds = append(seeds, slices.Concat(
				step("object_open", 0, object), step("object_item", 0, 0, 1, 1, 0, 0xff), step("object_load"), step("object_map", 0, 0, names[0]),
				step("object_program", 0, 0, names[1]), step("events_open"), step("events_add", 0, 0, 0, 0, 0, 0xf0), step("program_info"),
				step("program_test_run", 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0x80, 1, 0, 9, 9), step("events_read", 0, 0, 0, 0xf1), step("events_stats"),
				attach(0), attach(3), step("link_attach", 0, 0, 0, 0xf0), step("link_info"), step("close")))
		}
	}
	for typ := range abi.MapTypes() {
		seeds = append(seeds, slices.Concat(
			create(ebpf.Array), create(ebpf.MapType(typ)), step("map_info", 1), step("map_update", 1), step("map_lookup", 1),
			step("map_next_key", 1), step("map_lookup_batch", 1, 0, 0, 0, 0, 0, 8, 0, 0, 8), step("map_lookup_and_delete_batch", 1, 0, 0, 0, 0, 0, 8, 0, 0, 8),
			step("map_push", 1), step("map_peek", 1), step("map_pop", 1), step("map_delete", 1), step("map_inner", 1), step("map_write_ring", 1, 0, 0, 2, 9),
			step("map_freeze", 1), step("share", 1), step("open_shared", 0, 0, 2), step("pin", 1), step("open_pinned", 0, 0, 2), step("unpin"), step("close", 1)))
	}
	for i := range sections {
		seeds = append(seeds, slices.Concat(
			step("socket_open"), create(ebpf.SockMap), step("program_load", 0, 0, 0, byte(i)), step("program_info"),
			attach(0), attach(3), step("link_attach", 0, 0, 0, 0xf0), step("link_attach", 0, 0, 0, 0, 1, 13), step("link_attach", 0, 0, 0, 0, 1, 15),
			step("link_update"), step("link_info"), step("iter_open"), step("iter_read"), step("iter_read"), step("pin", byte(i%4)), step("link_detach")))
	}
	seeds = append(seeds, slices.Concat(step("program_load", 0, 0, 0, section("xdp")), attach(0), step("link_update"), step("link_info"), step("link_detach"), step("link_info")))
	for _, f := range abi.Functions() {
		seeds = append(seeds, step(f.Name), append(step("events_open"), step(f.Name, 0, 0xf6, 1, 2, 3, 4, 5, 6, 7)...))
	}
	return seeds
}

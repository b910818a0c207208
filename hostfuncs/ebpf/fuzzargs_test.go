package ebpf

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// calls turns a script into parameters. A byte decides about each parameter: mostly it is one that makes sense.
type calls struct {
	b         []byte
	world     *world
	me, other *guest
	log       []string

	// The call that is being made.
	f        abi.Func
	stopped  bool
	values   []uint64
	at       []uint32 // where each parameter's memory is
	next     uint32   // free memory
	writable []span
	faults   int // pointers that are bad
	handles  int // handles that are bad
	texts    int // texts that are bad
	nested   int // handles in structures that are bad
	size     uint32
	kind     uint32 // that the call asked for
	text     string
	wild     bool // what it makes is not to be run
	skip     bool
}

func (s *calls) begin(f abi.Func, stopped bool) {
	*s = calls{b: s.b, world: s.world, me: s.me, other: s.other, log: s.log, f: f, stopped: stopped, next: 1024}
	clear(s.me.in.Memory())
	s.log = append(s.log, f.Name)
}

func (s *calls) story() string { return strings.Join(s.log, " ") }

func (s *calls) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

// raw is a number of up to eight bytes.
func (s *calls) raw(n int) uint64 {
	var b [8]byte
	s.b = s.b[copy(b[:n], s.b):]
	return binary.LittleEndian.Uint64(b[:])
}

// number is a small one, one at an edge, or any.
func (s *calls) number() uint64 {
	switch b := s.byte(); {
	case b < 0xd0:
		return uint64(b % 20)
	case b < 0xf0:
		return []uint64{1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1, 4096}[b%8]
	}
	return s.raw(8)
}

// alloc takes guest memory, 8-byte aligned.
func (s *calls) alloc(n uint32) uint32 {
	at := (s.next + 7) &^ 7
	if uint64(at)+uint64(n) > fuzzPages<<16 {
		s.skip = true
		return 1024
	}
	s.next = at + n
	return at
}

// put stores bytes.
func (s *calls) put(b []byte) span {
	at := s.alloc(uint32(len(b)))
	if !s.skip {
		copy(s.me.in.Memory()[at:], b)
	}
	return span{at, uint32(len(b))}
}

const memoryEnd = fuzzPages << 16

// bad is a pointer and a length outside of memory.
func (s *calls) bad() span {
	s.faults++
	return []span{
		{memoryEnd, 1}, {memoryEnd - 8, 9}, {0xffffffff, 1}, {8, 0xffffffff}, {0xffffffff, 0xffffffff}, {0xfffffff8, 16}, {1 << 31, 1 << 31},
	}[s.byte()%7]
}

// rarely is true for one script in many.
func (s *calls) rarely() bool { return s.byte() >= 0xf4 }

// param makes one parameter.
func (s *calls) param(i int, p abi.Param) {
	for len(s.at) <= i {
		s.at = append(s.at, 0)
	}
	switch p.Kind {
	case abi.Handle:
		s.values = append(s.values, uint64(uint32(s.handle(p))))
	case abi.U32, abi.I32:
		s.values = append(s.values, uint64(uint32(s.plain(p))))
	case abi.U64, abi.I64:
		s.values = append(s.values, s.plain(p))
	case abi.OutU32, abi.OutHandle:
		s.out(i, 4)
	case abi.OutU64:
		s.out(i, 8)
	default:
		sp := s.memory(p)
		s.at[i] = sp.ptr
		s.values = append(s.values, uint64(sp.ptr), uint64(sp.len))
	}
}

func (s *calls) out(i int, size uint32) {
	at := s.alloc(size)
	if s.rarely() {
		s.faults++
		at = []uint32{at + 1, at + size/2, memoryEnd, memoryEnd - size/2, 0xffffffff, 0xfffffff8}[s.byte()%6]
	} else {
		s.writable = append(s.writable, span{at, size})
	}
	s.at[i] = at
	s.values = append(s.values, uint64(at))
}

// find picks a handle of a kind out of those that are open.
func (g *guest) find(kind uint32, n byte) int32 {
	var list []int32
	for _, h := range g.order {
		if k, ok := g.open[h]; ok && (k == kind || kind == 0) {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		return 0
	}
	return list[int(n)%len(list)]
}

// handle picks one: of the right kind, of another kind, closed, of the other guest, or any number.
func (s *calls) handle(p abi.Param) int32 {
	kind := kindNumber(p.Of)
	h := s.pick(kind)
	if h == 0 && p.Optional {
		return 0
	}
	if have, ok := s.me.open[h]; !ok || kind != 0 && have != kind {
		s.handles++
	}
	if s.me.wild[h] && slices.Contains([]string{"link_attach", "program_test_run", "link_update", "map_update"}, s.f.Name) {
		s.skip = true
	}
	return h
}

func (s *calls) pick(kind uint32) int32 {
	n := s.byte()
	switch b := s.byte(); {
	case b < 0xe8:
		return s.me.find(kind, n)
	case b < 0xf0:
		return s.me.find(0, n)
	case b < 0xf4:
		return s.other.find(kind, n)
	case b < 0xf8 && len(s.me.order) > 0:
		return s.me.order[int(n)%len(s.me.order)]
	}
	return int32(s.raw(4))
}

// plain is a number, by the parameter's name.
func (s *calls) plain(p abi.Param) uint64 {
	switch p.Name {
	case "timeout":
		if s.stopped {
			return s.number()
		}
		return uint64(s.byte()) // ns
	case "kind":
		s.kind = uint32(s.number())
		return uint64(s.kind)
	case "pid":
		return []uint64{uint64(os.Getpid()), uint64(os.Getpid()), 0, 1, 1<<32 - 1, 1<<31 - 1, s.number()}[s.byte()%7]
	case "fd":
		return []uint64{uint64(s.world.sockets[0]), uint64(s.world.sockets[1]), uint64(s.world.sockets[2]), 0, 1<<32 - 1, s.number()}[s.byte()%6]
	}
	return s.number()
}

// memory makes a parameter that is a pointer and a length.
func (s *calls) memory(p abi.Param) span {
	if p.Kind != abi.Text && s.rarely() {
		sp := s.bad()
		s.size = max(s.size, sp.len)
		return sp
	}
	switch p.Kind {
	case abi.Text:
		return s.textParam(p)
	case abi.Struct, abi.IOStruct:
		return s.structure(p)
	case abi.Bytes:
		return s.put(s.content(p))
	case abi.InOut:
		sp := s.put(s.content(p))
		s.writable = append(s.writable, sp)
		return sp
	}
	n := uint32(s.length(p))
	sp := span{s.alloc(n), n}
	if s.f.Name == "events_read" && p.Name == "buf" && s.rarely() {
		sp.ptr += 4
		sp.len -= min(sp.len, 4)
		s.faults++
	}
	s.writable = append(s.writable, sp)
	return sp
}

// textParam is one of the texts that mean something to the function, or not.
func (s *calls) textParam(p abi.Param) span {
	t := s.anyText(p.Name)
	if len(t) > maxText || !utf8.ValidString(t) || strings.ContainsRune(t, 0) {
		s.texts++
	}
	if s.rarely() {
		sp := s.bad()
		s.size = max(s.size, sp.len)
		return sp
	}
	sp := s.put([]byte(t))
	s.text = t
	return sp
}

func (s *calls) anyText(name string) string {
	switch b := s.byte(); {
	case b < 0xe8:
		list := fuzzTexts[s.f.Name+"."+name]
		if list == nil {
			list = fuzzTexts[name]
		}
		t := list[int(b)%len(list)]
		if s.f.Family == "handle" {
			return fmt.Sprintf("%s-%d", t, os.Getpid())
		}
		return t
	case b < 0xf0:
		return string(binary.LittleEndian.AppendUint64(nil, s.raw(8)))
	case b < 0xf4:
		return strings.Repeat("a", 4095+int(s.byte()%4))
	case b < 0xf8:
		return "va\x00"
	}
	return "\xff\xfe"
}

// length of a buffer that the host fills.
func (s *calls) length(p abi.Param) int {
	key, value := s.mapSizes()
	b := s.byte()
	want := 64
	switch {
	case p.Kind == abi.OutStruct:
		want = structSize(p.Of)
	case p.Name == "key" || p.Name == "next":
		want = key
	case p.Name == "value":
		want = value
	case p.Name == "keys":
		want = key * int(b%9)
		b = s.byte()
	case p.Name == "values":
		want = value * int(b%9)
		b = s.byte()
	case p.Name == "cursor":
		want = (key+7)&^7 + 8
	case b >= 0x80:
		want = int(b) * 16
	}
	switch {
	case b < 0xd8:
		return want
	case b < 0xe0:
		return want + 1
	case b < 0xe8:
		return max(want-1, 0)
	case b < 0xf0:
		return 0
	}
	return int(s.raw(2)) % 5000
}

// mapSizes are those of the first parameter, if it is a map.
func (s *calls) mapSizes() (key, value int) {
	if len(s.values) > 0 {
		if m, err := s.me.inst.s.Map(int32(s.values[0])); err == nil {
			return min(m.KeySize(), 256), min(m.ValueSize(), 4096)
		}
	}
	return 4, 8
}

// content is what the host reads.
func (s *calls) content(p abi.Param) []byte {
	switch p.Name {
	case "elf":
		return s.elf()
	case "frames":
		return s.frames()
	}
	b := make([]byte, s.length(p))
	switch how := s.byte(); {
	case how < 0x80 && len(b) > 0:
		b[0] = how % 8
	case how < 0xc0 && len(b) >= 4: // in place of a descriptor
		binary.LittleEndian.PutUint32(b, uint32(s.me.find(0, s.byte())))
	case how < 0xd0 && p.Name == "cursor": // what a call could have left
		if len(b) >= 12 {
			b[0], b[8] = s.byte()%5, s.byte()
		}
	default:
		s.b = s.b[copy(b, s.b):]
	}
	if p.Name == "keys" && len(b) > 8 { // keys that differ
		for i := range b {
			b[i] += byte(i / 4)
		}
	}
	return b
}

// elf is an object out of the testdata folders, damaged sometimes.
func (s *calls) elf() []byte {
	b := s.byte()
	elf := slices.Clone(s.world.objects[int(b)%len(s.world.objects)])
	if s.byte() >= 0xc0 {
		for range s.byte() % 8 {
			elf[s.raw(2)%uint64(len(elf))] ^= s.byte()
		}
		s.wild = true
	}
	return elf
}

// frames are records for a user ring.
func (s *calls) frames() (b []byte) {
	for range s.byte() % 5 {
		n := uint32(s.byte())
		b = binary.LittleEndian.AppendUint32(b, n)
		b = append(b, s.byte(), 0, 0, 0)
		b = append(b, make([]byte, (n+7)&^7)...)
	}
	if s.rarely() && len(b) >= 4 {
		binary.LittleEndian.PutUint32(b, uint32(s.number()))
	}
	if s.rarely() {
		b = b[:len(b)/2]
	}
	return b
}

package bpf

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// code writes instructions as a program that makes programs would.
func code(t testing.TB, insns ...asm.Instruction) []byte {
	t.Helper()
	order := map[elf.Data]binary.ByteOrder{elf.ELFDATA2LSB: binary.LittleEndian, elf.ELFDATA2MSB: binary.BigEndian}[nativeData]
	var b bytes.Buffer
	for _, i := range insns {
		if _, err := i.Marshal(&b, order); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func ret(n int32) []asm.Instruction { return []asm.Instruction{asm.Mov.Imm(asm.R0, n), asm.Return()} }

// generated loads a program made of instructions until the end of the test.
func generated(t testing.TB, o ProgramOptions) *Program {
	t.Helper()
	p, err := LoadProgram(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestGeneratedProgramRuns(t *testing.T) {
	kerneltest.RequireRoot(t)
	p := generated(t, ProgramOptions{Name: "made", Section: "xdp", License: "GPL", Insns: code(t, ret(2)...)})
	if p.Object() != nil || p.Hook() != HookXDP || p.Type() != ebpf.XDP {
		t.Errorf("got %v, %v, %v", p.Object(), p.Hook(), p.Type())
	}
	r := TestRun{Data: make([]byte, 64)}
	if err := p.TestRun(context.Background(), &r); err != nil || r.Return != 2 || r.DataSize != 64 {
		t.Errorf("got %+v, %v", r, err)
	}
}

// counting adds one to the first value of an array, whose handle is 7, through a lookup or through its address.
func counting(t testing.TB, byAddress bool) []byte {
	var insns []asm.Instruction
	if byAddress {
		load := asm.LoadMapValue(asm.R1, 7, 8)
		insns = append(insns, load)
	} else {
		insns = append(insns,
			asm.StoreImm(asm.R10, -4, 0, asm.Word),
			asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, 7),
			asm.FnMapLookupElem.Call(),
			asm.Instruction{OpCode: asm.JNE.Op(asm.ImmSource), Dst: asm.R0, Offset: 1},
			asm.Return(),
			asm.Mov.Reg(asm.R1, asm.R0))
	}
	return code(t, append(insns, asm.Mov.Imm(asm.R2, 1), asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0), asm.Mov.Imm(asm.R0, 0), asm.Return())...)
}

func TestGeneratedProgramUsesMapsByHandle(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "array")
	var asked []int32
	find := func(h int32) (*Map, error) {
		asked = append(asked, h)
		if h != 7 {
			return nil, ErrNotFound
		}
		return m, nil
	}
	before := make([]byte, 8)
	if err := m.LookupInto(make([]byte, 4), before, 0); err != nil {
		t.Fatal(err)
	}
	p := generated(t, ProgramOptions{Section: "tc", License: "GPL", Map: find, Insns: counting(t, false)})
	if err := p.TestRun(context.Background(), &TestRun{Data: make([]byte, 64), Repeat: 3}); err != nil {
		t.Fatal(err)
	}
	after := make([]byte, 8)
	if err := m.LookupInto(make([]byte, 4), after, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := binary.NativeEndian.Uint64(after), binary.NativeEndian.Uint64(before)+3; got != want || len(asked) != 1 {
		t.Errorf("got %d (handles asked for: %v), want %d", got, asked, want)
	}
	_, err := LoadProgram(ProgramOptions{Name: "nomap", Section: "tc", License: "GPL", Insns: counting(t, false)})
	wantError(t, err, ErrNotFound, "nomap", "instruction 3", "map 7")
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = LoadProgram(ProgramOptions{Section: "tc", License: "GPL", Map: find, Insns: counting(t, false)})
	wantError(t, err, os.ErrClosed)
}

// No instruction may smuggle in a descriptor of this process: not one that is open for a map, and not one for anything else.
func TestGeneratedProgramsNeverNameDescriptors(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := load(t, "maps", LoadOptions{})
	fd := int32(getMap(t, o, "array").FD())
	load64 := func(src asm.Register, imm, next int32) asm.Instruction {
		return asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R1, Src: src, Constant: int64(next)<<32 | int64(uint32(imm))}
	}
	call := func(src asm.Register, imm int32, off int16) []byte {
		b := code(t, asm.FnKtimeGetNs.Call())
		b[1] = code(t, asm.Instruction{OpCode: asm.Mov.Op(asm.RegSource), Src: src})[1]
		binary.NativeEndian.PutUint16(b[2:], uint16(off))
		binary.NativeEndian.PutUint32(b[4:], uint32(imm))
		return b
	}
	end := code(t, ret(0)...)
	half := code(t, load64(0, 1, 1))
	for name, c := range map[string]struct {
		insns []byte
		want  string
	}{
		"nothing":                         {nil, "no instructions"},
		"odd length":                      {end[:13], "13 bytes"},
		"half a constant":                 {half[:8], "second half"},
		"an opcode in the second half":    {append(append(bytes.Clone(half[:8]), half[:8]...), end...), "second half"},
		"the descriptor of a map":         {append(code(t, load64(1, fd, 0)), end...), "map"},
		"the descriptor of a map's value": {append(code(t, load64(2, fd, 0)), end...), "map"},
		"the types of a module":           {append(code(t, load64(3, 1, fd)), end...), "module"},
		"a map by index":                  {append(code(t, load64(5, 0, 0)), end...), "array of descriptors"},
		"a map's value by index":          {append(code(t, load64(6, 0, 0)), end...), "array of descriptors"},
		"a kind that is not known yet":    {append(code(t, load64(9, fd, 0)), end...), "unknown kind 9"},
		"a function of a module":          {append(call(2, 1, 1), end...), "module"},
		"an unknown kind of call":         {append(call(5, fd, 0), end...), "unknown kind 5"},
	} {
		_, err := LoadProgram(ProgramOptions{Name: "evil", Section: "tc", License: "GPL", Insns: c.insns})
		if err == nil || !strings.Contains(err.Error(), c.want) || !(errors.Is(err, ErrFormat) || errors.Is(err, ErrNotFound)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, insns := range map[string][]byte{
		"an unknown opcode":        append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, end...),
		"no end":                   code(t, asm.Mov.Imm(asm.R0, 0)),
		"a function far away":      append(call(1, 1<<20, 0), end...),
		"a helper that is not one": append(call(0, 1<<20, 0), end...),
		"a function of the kernel": append(call(2, 1<<20, 0), end...),
		"a variable of the kernel": append(code(t, load64(3, 1<<20, 0)), end...),
	} {
		_, err := LoadProgram(ProgramOptions{Name: "evil", Section: "tc", License: "GPL", Insns: insns})
		if err == nil || !errors.Is(err, ErrVerifier) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v, want the verifier's no", name, err)
		}
	}
}

// The library keeps its table of section names to itself, so ask it about each of ours, in an object file.
func TestSectionsMeanWhatTheLibraryTakesThemToMean(t *testing.T) {
	ask := func(section string) *ebpf.ProgramSpec {
		coll, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(tinyObject(t, section)))
		if err != nil {
			t.Fatalf("%s: %v", section, err)
		}
		return coll.Programs["main"]
	}
	for _, s := range sectionTypes {
		for _, section := range []string{s.name, "?" + s.name, s.name + "/x", s.name + "x", s.name + ".s", s.name + "/a/b"} {
			want := ask(section)
			got, to, ok := typeOfSection(section)
			if got.typ != want.Type || got.attach != want.AttachType || got.flags != want.Flags || ok != (want.Type != 0) {
				t.Errorf("%s: got %+v, want %v, %v, %#x", section, got, want.Type, want.AttachType, want.Flags)
			}
			if to != want.AttachTo && want.Type != ebpf.StructOps {
				t.Errorf("%s: got attach to %q, want %q", section, to, want.AttachTo)
			}
		}
	}
}

// tinyObject is an object file with one program.
func tinyObject(t testing.TB, section string) []byte {
	t.Helper()
	names := "\x00.strtab\x00.symtab\x00license\x00main\x00" + section + "\x00"
	name := func(s string) uint32 { return uint32(strings.Index(names, "\x00"+s+"\x00") + 1) }
	insns := code(t, ret(0)...)
	var b bytes.Buffer
	header := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: 1, Ehsize: 64, Shentsize: 64, Shnum: 5, Shstrndx: 1,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(nativeData), 1
	symbols := []elf.Sym64{{}, {Name: name("main"), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 3, Size: uint64(len(insns))}}
	var syms bytes.Buffer
	for _, s := range symbols {
		if err := binary.Write(&syms, binary.NativeEndian, s); err != nil {
			t.Fatal(err)
		}
	}
	at := uint64(64)
	put := func(h elf.Section64, data []byte) (elf.Section64, []byte) {
		h.Off, h.Size, h.Addralign = at, uint64(len(data)), 1
		at += uint64(len(data))
		return h, data
	}
	var sections []elf.Section64
	var bodies [][]byte
	for _, s := range []struct {
		h    elf.Section64
		data []byte
	}{
		{elf.Section64{}, nil},
		{elf.Section64{Name: name(".strtab"), Type: uint32(elf.SHT_STRTAB)}, []byte(names)},
		{elf.Section64{Name: name(".symtab"), Type: uint32(elf.SHT_SYMTAB), Link: 1, Info: 1, Entsize: 24}, syms.Bytes()},
		{elf.Section64{Name: name(section), Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR)}, insns},
		{elf.Section64{Name: name("license"), Type: uint32(elf.SHT_PROGBITS)}, []byte("GPL\x00")},
	} {
		h, data := put(s.h, s.data)
		sections, bodies = append(sections, h), append(bodies, data)
	}
	header.Shoff = at
	if err := binary.Write(&b, binary.NativeEndian, header); err != nil {
		t.Fatal(err)
	}
	for _, data := range bodies {
		b.Write(data)
	}
	for _, h := range sections {
		if err := binary.Write(&b, binary.NativeEndian, h); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestGeneratedProgramsAttach(t *testing.T) {
	kerneltest.RequireRoot(t)
	p := generated(t, ProgramOptions{Name: "look", Section: "raw_tracepoint/sched_switch", License: "GPL", Insns: code(t, ret(0)...)})
	l, err := p.Attach(Target{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := l.Info()
	if err != nil || info.Kind != LinkRawTracepoint || info.Name != "sched_switch" {
		t.Errorf("after the program was closed: got %+v, %v", info, err)
	}
	_, err = p.Attach(Target{})
	wantError(t, err, os.ErrClosed)
	_, err = p.Info()
	wantError(t, err, os.ErrClosed, "look")
	wantError(t, p.TestRun(context.Background(), &TestRun{}), os.ErrClosed)
	if p.FD() != -1 || fmt.Sprint(p) != "look (RawTracepoint)" {
		t.Errorf("got %d, %v", p.FD(), p)
	}
}

func TestGeneratedProgramNeedsAKind(t *testing.T) {
	_, err := LoadProgram(ProgramOptions{Insns: code(t, ret(0)...)})
	wantError(t, err, ErrType, "neither a section nor a type")
	_, err = LoadProgram(ProgramOptions{Section: "xyz", Insns: code(t, ret(0)...)})
	wantError(t, err, ErrType, "xyz")
	_, err = LoadProgram(ProgramOptions{Section: "struct_ops/x", Insns: code(t, ret(0)...)})
	wantError(t, err, ErrUnsupported, "object file")
	_, err = LoadProgram(ProgramOptions{Section: "xdp", License: "GPL\x00", Insns: code(t, ret(0)...)})
	wantError(t, err, ErrFormat, "licence")
	_, err = LoadProgram(ProgramOptions{Section: "tp_btf", License: "GPL", Insns: code(t, ret(0)...)})
	wantError(t, err, ErrTarget, "no place to attach to")
}

package bpf

import (
	"bytes"
	"debug/elf"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// patched is plain.bpf.o with another first instruction that takes two, and without its relocations.
func patched(t *testing.T, first []byte) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/plain.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	headers := int(f.ByteOrder.Uint64(b[40:]))
	for i, s := range f.Sections {
		switch s.Name {
		case ".relraw_tp/sched_process_exit":
			f.ByteOrder.PutUint32(b[headers+64*i+4:], uint32(elf.SHT_NULL))
		case "raw_tp/sched_process_exit":
			for at := s.Offset; at < s.Offset+s.Size; at += 8 {
				if b[at] == opLoadImm64 {
					copy(b[at:], first)
				}
			}
		}
	}
	return b
}

// What names a descriptor of the process is refused in objects as it is in instructions.
func TestObjectsNameNoDescriptors(t *testing.T) {
	kerneltest.RequireRoot(t)
	m := create(t, MapOptions{Type: ebpf.RingBuf, MaxEntries: 4096})
	byFD := asm.LoadMapPtr(asm.R1, m.FD())
	value := asm.LoadMapValue(asm.R1, m.FD(), 0)
	index := byFD
	index.Src = asm.Register(5) // BPF_PSEUDO_MAP_IDX
	module := asm.LoadImm(asm.R1, 5<<32|1, asm.DWord)
	module.Src = asm.Register(3) // BPF_PSEUDO_BTF_ID
	kfunc := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: 2, Offset: 5, Constant: 1}
	nop := asm.Mov.Reg(asm.R1, asm.R1)
	for _, tc := range []struct {
		name, want string
		insns      []asm.Instruction
	}{
		{"map", "by descriptor", []asm.Instruction{byFD}},
		{"value of a map", "by descriptor", []asm.Instruction{value}},
		{"index", "only the kernel's own loaders", []asm.Instruction{index}},
		{"module", "by descriptor", []asm.Instruction{module}},
		{"kfunc", "by descriptor", []asm.Instruction{kfunc, nop}},
		{"sys_bpf", "bpf_sys_bpf", []asm.Instruction{asm.FnSysBpf.Call(), nop}},
		{"find types", "bpf_btf_find", []asm.Instruction{asm.FnBtfFindByNameKind.Call(), nop}},
		{"sys_close", "bpf_sys_close", []asm.Instruction{asm.FnSysClose.Call(), nop}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Open(bytes.NewReader(patched(t, code(t, tc.insns...))))
			wantError(t, err, ErrFormat, tc.want)
		})
	}
	for _, f := range []asm.BuiltinFunc{asm.FnSysBpf, asm.FnBtfFindByNameKind, asm.FnSysClose} {
		_, err := LoadProgram(ProgramOptions{Section: "syscall", License: "GPL", Insns: code(t, append([]asm.Instruction{f.Call()}, ret(0)...)...)})
		wantError(t, err, ErrFormat, "only the kernel's own loaders")
	}
	if _, err := Open(bytes.NewReader(patched(t, code(t, asm.LoadImm(asm.R1, 1, asm.DWord))))); err != nil {
		t.Errorf("a constant: %v", err) // so that the others are refused for what they are
	}
}

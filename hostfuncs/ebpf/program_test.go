package ebpf

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// insns is struct bpf_insn, as a guest makes it.
func insns(t testing.TB, list ...asm.Instruction) []byte {
	t.Helper()
	var b strings.Builder
	var order binary.ByteOrder = binary.LittleEndian
	if isBigEndian {
		order = binary.BigEndian
	}
	must(t, asm.Instructions(list).Marshal(&b, order))
	return []byte(b.String())
}

// program loads instructions.
func (p *puppet) program(section string, code []byte) (int32, abi.Errno) {
	p.t.Helper()
	o := abi.ProgramOptions{Name: p.text("made"), Section: p.text(section), License: p.text("GPL"), Insns: abi.Span{Ptr: p.put(code), Len: uint32(len(code))}}
	out := p.room(4)
	no := p.call("program_load", encode(p.t, &o), ptr(out.ptr))
	return int32(p.u32(out.ptr)), no
}

func (p *puppet) text(s string) abi.Span { return abi.Span{Ptr: p.put([]byte(s)), Len: uint32(len(s))} }

// newMap creates a map.
func (p *puppet) newMap(typ ebpf.MapType, key, value, entries uint32) int32 {
	p.t.Helper()
	return p.handle("map_create", encode(p.t, &abi.MapOptions{Type: uint32(typ), KeySize: key, ValueSize: value, MaxEntries: entries}), "made")
}

// counting is a program that adds one to the first entry of an array and returns 2.
func counting(t testing.TB, m int32) []byte {
	return insns(t,
		asm.LoadMapValue(asm.R1, int(m), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 2),
		asm.Return(),
	)
}

func TestProgramMadeAtRunTimeRuns(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Array, 4, 8, 1)
		prog, no := p.program("xdp", counting(t, m))
		if no != abi.SUCCESS {
			t.Fatalf("program_load: %s: %s", no, p.lastError())
		}
		run := abi.TestRun{DataIn: abi.Span{Ptr: p.put(make([]byte, 64)), Len: 64}, DataOut: abi.Span{Ptr: p.put(make([]byte, 64)), Len: 64}, Repeat: 10}
		at := p.put(encode(t, &run))
		p.ok("program_test_run", prog, span{at, 64})
		got := decode[abi.TestRun](p, span{at, 64})
		if got.ReturnValue != 2 || got.DataOut.Len != 64 {
			t.Errorf("run %+v", got)
		}
		value := p.room(8)
		p.ok("map_lookup", m, native32(0), value, uint64(0))
		if n := binary.NativeEndian.Uint64(p.read(value)); n != 10 {
			t.Errorf("it ran %d times, want 10", n)
		}
		info := p.room(88)
		p.ok("program_info", prog, info)
		if i := decode[abi.ProgramInfo](p, info); i.Type != uint32(ebpf.XDP) || i.ID == 0 || i.Maps != 1 || !strings.HasPrefix(string(i.Name[:]), "made\x00") || i.Tag == [8]byte{} {
			t.Errorf("program_info %+v", i)
		}
		// The packet does not fit into the room for it.
		run.DataOut.Len = 10
		at = p.put(encode(t, &run))
		p.want(abi.NOSPC, "program_test_run", prog, span{at, 64})
		if got := decode[abi.TestRun](p, span{at, 64}); got.DataOut.Len != 64 {
			t.Errorf("the whole length is %d, want 64", got.DataOut.Len)
		}
	})
}

func TestProgramNamesMapsByHandleOnly(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Array, 4, 8, 1)
		for fd := range int32(64) { // the numbers of this process's descriptors
			if fd == m {
				continue
			}
			if _, no := p.program("xdp", counting(t, fd)); no != abi.BADF {
				t.Errorf("a program takes descriptor %d: %s", fd, no)
			}
		}
		p.ok("close", m)
		if _, no := p.program("xdp", counting(t, m)); no != abi.BADF {
			t.Errorf("a program takes a closed handle: %s", no)
		}
		if _, no := p.program("xdp", []byte("odd")); no != abi.NOEXEC && no != abi.INVAL {
			t.Errorf("three bytes are a program: %s", no)
		}
		if _, no := p.program("xdp", insns(t, asm.Mov.Reg(asm.R0, asm.R5), asm.Return())); no != abi.ACCES {
			t.Errorf("the verifier takes an uninitialised register: %s", no)
		} else if !strings.Contains(p.lastError(), "R5") {
			t.Errorf("no log: %s", p.lastError())
		}
	})
}

func TestLongTestRunEndsWithTheContext(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		prog, _ := p.program("xdp", counting(t, p.newMap(ebpf.Array, 4, 8, 1)))
		run := abi.TestRun{DataIn: abi.Span{Ptr: p.put(make([]byte, 64)), Len: 64}, Repeat: 1<<31 - 1}
		at := p.put(encode(t, &run))
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if no := p.try(ctx, "program_test_run", uint64(uint32(prog)), uint64(at), 64); no != abi.INTR {
			t.Errorf("got %s, want INTR", no)
		}
	})
}

func TestStatsCountRunsWhileTheyAreOn(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		prog, _ := p.program("xdp", counting(t, p.newMap(ebpf.Array, 4, 8, 1)))
		stats := p.handle("program_enable_stats")
		run := abi.TestRun{DataIn: abi.Span{Ptr: p.put(make([]byte, 64)), Len: 64}, Repeat: 5}
		p.ok("program_test_run", prog, encode(t, &run))
		info := p.room(88)
		p.ok("program_info", prog, info)
		if i := decode[abi.ProgramInfo](p, info); i.RunCount != 5 || i.RunTime == 0 {
			t.Errorf("run count %d, time %d; want 5 and some", i.RunCount, i.RunTime)
		}
		p.ok("close", stats)
	})
}

func TestTestRunsAreRefusedForWhatTheyAre(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		packet := abi.Span{Ptr: p.put(make([]byte, 64)), Len: 64}
		for _, tc := range []struct {
			section string
			run     abi.TestRun
			want    abi.Errno
		}{
			{"xdp", abi.TestRun{DataIn: packet}, abi.SUCCESS},
			{"xdp", abi.TestRun{DataIn: abi.Span{Ptr: packet.Ptr, Len: 5}}, abi.INVAL}, // no Ethernet header
			{"xdp", abi.TestRun{}, abi.INVAL},
			{"xdp", abi.TestRun{DataIn: packet, Flags: 4}, abi.INVAL},
			{"xdp", abi.TestRun{DataIn: packet, Reserved: 1}, abi.INVAL},
			{"xdp", abi.TestRun{DataIn: abi.Span{Ptr: puppetMemory - 8, Len: 64}}, abi.FAULT},
			{"xdp", abi.TestRun{DataIn: packet, CtxOut: abi.Span{Ptr: 0xffffffff, Len: 1}}, abi.FAULT},
			{"raw_tracepoint", abi.TestRun{Flags: abi.RunOnCPU}, abi.SUCCESS},
			{"raw_tracepoint", abi.TestRun{Flags: abi.RunOnCPU, CPU: 4000}, abi.RANGE},
			{"raw_tracepoint", abi.TestRun{DataIn: packet}, abi.INVAL},
			{"uprobe", abi.TestRun{}, abi.NOTSUP},
			{"syscall", abi.TestRun{CtxIn: packet}, abi.SUCCESS},
		} {
			switch v := kernel.Running(); {
			case tc.section == "syscall" && !v.AtLeast(5, 14):
				continue
			case tc.section == "xdp" && tc.want == abi.INVAL && tc.run.DataIn.Len < 14 && !v.AtLeast(5, 18): // took less than a header
				tc.want = abi.SUCCESS
			}
			prog, no := p.program(tc.section, insns(t, asm.Mov.Imm(asm.R0, 1), asm.Return()))
			if no != abi.SUCCESS {
				t.Fatalf("%s: %s: %s", tc.section, no, p.lastError())
			}
			if got := p.call("program_test_run", prog, encode(t, &tc.run)); got != tc.want {
				t.Errorf("%s %+v: got %s, want %s: %s", tc.section, tc.run, got, tc.want, p.lastError())
			}
			p.want(abi.INVAL, "program_test_run", prog, encode(t, &tc.run)[:60]) // no room for the outcome
			p.ok("close", prog)
		}
	})
}

func TestLogIsKeptWhenAsked(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		code := insns(t, asm.Mov.Imm(asm.R0, 1), asm.Return())
		for flag, want := range map[uint32]bool{0: false, abi.LoadLog: true} {
			o := abi.ProgramOptions{Section: p.text("xdp"), License: p.text("GPL"), Insns: abi.Span{Ptr: p.put(code), Len: uint32(len(code))}, Flags: flag}
			prog := p.handle("program_load", encode(t, &o))
			if log := p.answer("program_log", []any{prog}); (log != "") != want {
				t.Errorf("flags %d: log %q", flag, log)
			}
		}
		o := abi.ProgramOptions{Section: p.text("xdp"), License: p.text("GPL"), Insns: abi.Span{Ptr: p.put(code), Len: uint32(len(code))}, Flags: 4}
		p.want(abi.INVAL, "program_load", encode(t, &o), ptr(p.room(4).ptr))
	})
}

package bpf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// staticProbe writes a program with one static probe, test:it, and its counter. It exits with the counter's value.
func staticProbe(t *testing.T) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the program is for amd64")
	}
	const base, page, start = 0x400000, 0x1000, 0x400
	code := []byte{
		0x90,                                           // nop, the probe
		0x0f, 0xb7, 0x3c, 0x25, 0x00, 0x10, 0x40, 0x00, // movzx edi, word [0x401000], the counter
		0xb8, 60, 0, 0, 0, // mov eax, 60: exit
		0x0f, 0x05, // syscall
	}
	note := notes(base+start, 0, base+page, "test", "it")
	names := "\x00.note.stapsdt\x00.shstrtab\x00"
	var b bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	put(elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Entry: base + start, Phoff: 64, Shoff: 64 + 2*56, Ehsize: 64, Phentsize: 56, Phnum: 2, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	})
	put(elf.Prog64{Type: 1, Flags: 5, Off: 0, Vaddr: base, Filesz: page, Memsz: page, Align: page})
	put(elf.Prog64{Type: 1, Flags: 6, Off: page, Vaddr: base + page, Filesz: page, Memsz: page, Align: page})
	put(elf.Section64{})
	put(elf.Section64{Name: 1, Type: uint32(elf.SHT_NOTE), Off: 0x500, Size: uint64(len(note))})
	put(elf.Section64{Name: 15, Type: uint32(elf.SHT_STRTAB), Off: 0x600, Size: uint64(len(names))})
	file := make([]byte, 2*page)
	copy(file, b.Bytes())
	copy(file[start:], code)
	copy(file[0x500:], note)
	copy(file[0x600:], names)
	path := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(path, file, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUSDTRunsAndCountsItsUsers(t *testing.T) {
	path := staticProbe(t)
	_, p := loadHook(t, "trace", "static_probe")
	target, err := ParseTarget(HookUSDT, path+":test:it")
	if err != nil {
		t.Fatal(err)
	}
	l := mustAttach(t, p, target)
	users := -1
	run := func() {
		c := exec.Command(path)
		if err := c.Run(); c.ProcessState == nil {
			t.Fatal(err)
		}
		users = c.ProcessState.ExitCode()
	}
	run()
	if users != 1 {
		t.Errorf("got %d users of the probe while attached, want 1", users)
	}
	checkRuns(t, l, run)
	if users != 0 {
		t.Errorf("got %d users of the probe after Close, want 0", users)
	}
}

func TestMissingUSDTSaysWhatThereIs(t *testing.T) {
	o, p := loadHook(t, "trace", "static_probe")
	_, err := o.Attach(p, Target{Path: staticProbe(t), Symbol: "libc:nonsense"})
	wantError(t, err, ErrTarget, "no probe libc:nonsense", "it has test:it")
	_, err = o.Attach(p, Target{Path: self, Symbol: "a:b"})
	wantError(t, err, ErrTarget, "no usdt probes at all")
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "no program and function given")
}

// notes makes one note of <sys/sdt.h>.
func notes(pc, base, semaphore uint64, provider, name string) []byte {
	desc := binary.LittleEndian.AppendUint64(nil, pc)
	desc = binary.LittleEndian.AppendUint64(desc, base)
	desc = binary.LittleEndian.AppendUint64(desc, semaphore)
	desc = append(desc, provider+"\x00"+name+"\x00-4@%eax\x00"...)
	b := binary.LittleEndian.AppendUint32(nil, 8)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = append(b, "stapsdt\x00"...)
	b = append(b, desc...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func testExecutable() *executable {
	f := &elf.File{FileHeader: elf.FileHeader{Class: elf.ELFCLASS64, ByteOrder: binary.LittleEndian}}
	f.Progs = []*elf.Prog{
		{ProgHeader: elf.ProgHeader{Type: elf.PT_LOAD, Flags: elf.PF_X, Off: 0x100, Vaddr: 0x1000, Filesz: 0x1000, Memsz: 0x1000}},
		{ProgHeader: elf.ProgHeader{Type: elf.PT_LOAD, Flags: elf.PF_W, Off: 0x1100, Vaddr: 0x3000, Filesz: 0x1000, Memsz: 0x1000}},
	}
	return &executable{path: "x", file: f, loads: codeOf(f)}
}

func TestUSDTNotesAreRead(t *testing.T) {
	x := testExecutable()
	b := append(notes(0x1010, 0x5000, 0, "p", "plain"), notes(0x1020, 0x5000, 0x3008, "p", "counted")...)
	got, err := x.parseNotes(b, 0x5000)
	if err != nil {
		t.Fatal(err)
	}
	want := []usdtProbe{{"p", "plain", 0x110, 0}, {"p", "counted", 0x120, 0x1108}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
	moved, err := x.parseNotes(notes(0x11010, 0x15000, 0, "p", "moved"), 0x5000)
	if err != nil || len(moved) != 1 || moved[0].offset != 0x110 {
		t.Errorf("got %+v, %v, want offset 0x110 after the file was moved", moved, err)
	}
}

func FuzzUSDTNotes(f *testing.F) {
	f.Add(notes(0x1010, 0, 0, "p", "n"), uint64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 40), uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, base uint64) {
		x := testExecutable()
		probes, err := x.parseNotes(b, base)
		if err == nil && len(probes) > len(b)/12 {
			t.Errorf("%d probes from %d bytes", len(probes), len(b))
		}
	})
}

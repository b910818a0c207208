package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// withLibc starts a process that has its libraries loaded, and returns the address of a function in one of them.
func withLibc(t *testing.T, name string) (pid int, at uint64) {
	t.Helper()
	cat := exec.Command("cat")
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cat.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { in.Close(); _ = cat.Wait() })
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	list, err := readMaps(cat.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		f, err := elf.Open(m.path)
		if err != nil {
			continue
		}
		symbols, _ := f.DynamicSymbols()
		f.Close()
		for _, s := range symbols {
			if s.Name != name || s.Section == elf.SHN_UNDEF {
				continue
			}
			for _, p := range f.Progs {
				if off := s.Value - p.Vaddr + p.Off; p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && off >= m.offset && off < m.offset+m.end-m.start {
					return cat.Process.Pid, m.start + off - m.offset
				}
			}
		}
	}
	t.Skipf("no library of cat has a function %s", name)
	return 0, 0
}

func TestFunctionsOfAProcessAreFound(t *testing.T) {
	var p ProcessSymbols
	pid, at := withLibc(t, "qsort")
	for range 2 { // the second time from what was kept
		s, err := p.Find(pid, at+2)
		if err != nil {
			t.Fatal(err)
		}
		if s.Name != "qsort" || s.Offset != 2 || !strings.Contains(s.Module, "libc") {
			t.Errorf("got %+v", s)
		}
	}
	if len(p.files) != 1 || p.bytes == 0 || p.bytes > maxSymbolBytes {
		t.Errorf("got %d files with %d bytes", len(p.files), p.bytes)
	}
	if _, err := p.Find(os.Getpid(), 1); !errors.Is(err, ErrNoSymbol) {
		t.Errorf("got %v", err)
	}
	for _, pid := range []int{-1, 0, 1 << 30} {
		if _, err := p.Find(pid, at); !errors.Is(err, ErrNoSymbol) || !errors.Is(err, unix.ESRCH) {
			t.Errorf("process %d: got %v", pid, err)
		}
	}
}

func TestMapsOfAProcessAreRead(t *testing.T) {
	in := `55ab7f277000-55ab7f279000 r--p 00000000 fe:00 247026                     /usr/bin/cat
55ab7f279000-55ab7f27e000 r-xp 00002000 fe:00 247026                     /usr/bin/a b (deleted)
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 
7ffd4a5f2000-7ffd4a5f4000 r-xp 00000000 00:00 0                          [vdso]
nonsense
x-y r-xp z
`
	got, err := parseMaps(strings.NewReader(in))
	if err != nil || len(got) != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if m := got[0]; m.start != 0x55ab7f279000 || m.end != 0x55ab7f27e000 || m.offset != 0x2000 || m.id.inode != 247026 || m.path != "/usr/bin/a b" {
		t.Errorf("got %+v", m)
	}
	if got[1].path != "" || got[2].path != "[vdso]" {
		t.Errorf("got %+v", got[1:])
	}
}

func FuzzFileSymbols(f *testing.F) {
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(exe[:4096])
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := readFileSymbols(strings.NewReader(string(b)), int64(len(b)))
		for _, at := range append(s.starts, 0, 1, ^uint64(0)) {
			s.find(at)
		}
	})
}

// Symbols that all have one long name make a parser that copies each name take gigabytes.
func TestNamesOfAHostileFileAreNotCopied(t *testing.T) {
	const symbols, name = 1000, 1 << 20
	var b bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	text := bytes.Repeat([]byte{'x'}, name)
	text[name-1] = 0
	symbolsAt := uint64(64)
	textAt := symbolsAt + symbols*elf.Sym64Size
	sectionsAt := textAt + name
	head := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: sectionsAt, Ehsize: 64, Shentsize: 64, Shnum: 4, Shstrndx: 3}
	copy(head.Ident[:], elf.ELFMAG)
	head.Ident[elf.EI_CLASS], head.Ident[elf.EI_DATA], head.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	put(head)
	put(make([]elf.Sym64, symbols))
	put(text)
	put(elf.Section64{})
	put(elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: symbolsAt, Size: symbols * elf.Sym64Size, Link: 2, Entsize: elf.Sym64Size})
	put(elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: textAt, Size: name})
	put(elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: textAt + name - 1, Size: 1}) // one empty name
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	if got := readFileSymbols(bytes.NewReader(b.Bytes()), int64(b.Len())); len(got.starts) != 0 {
		t.Errorf("%d functions", len(got.starts))
	}
	goruntime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 128<<20 {
		t.Errorf("it took %d MiB", used>>20)
	}
}

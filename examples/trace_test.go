package examples_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// setupTasks looks for this process.
func setupTasks(t *testing.T) row {
	return row{vars: self(t), ends: true}
}

// setupTasksThreads wants the threads of this process, and no others.
func setupTasksThreads(t *testing.T) row {
	vars := self(t)
	return row{
		args: []string{"--threads", vars["pid"]}, vars: vars, ends: true,
		golden: `must  +PID +TID +PPID THREADS KIND +COMM
			must  *{pid} +{pid} +{ppid} +[1-9]\d* user   {comm}
			may   *{pid} +\d+ +{ppid} +[1-9]\d* user   .*`,
	}
}

// self is this process.
func self(t *testing.T) map[string]string {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"pid": strconv.Itoa(os.Getpid()), "ppid": strconv.Itoa(os.Getppid()), "comm": strings.TrimSpace(string(comm)),
	}
}

// setupProfile samples a program that does nothing but system calls, in its function "work".
func setupProfile(t *testing.T) row {
	code := []byte{
		0xb8, 39, 0, 0, 0, // mov eax, 39: getpid
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp to the first
	}
	names := []byte("\x00work\x00")
	var symbols bytes.Buffer
	encode(t, &symbols, elf.Sym64{}, elf.Sym64{
		Name: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: uint16(elf.SHN_ABS), Value: programStart, Size: uint64(len(code)),
	})
	c := exec.Command(program(t, "worker", code,
		section{elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2, Info: 1, Entsize: 24}, symbols.Bytes()},
		section{elf.Section64{Type: uint32(elf.SHT_STRTAB)}, names}))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return row{
		args: []string{"--pid", strconv.Itoa(c.Process.Pid), "--duration", "1", "--frequency", "499"},
		ends: true, stderr: []string{"profile: sampling"},
	}
}

// setupUSDT runs a program with two static probes, which it passes once each.
func setupUSDT(t *testing.T) row {
	file := probes(t)
	vars := map[string]string{}
	return row{args: []string{file, "test:begin", "test:end"}, vars: vars, cause: func() { vars["pid"] = runFile(t, file) }}
}

// probes writes a program with two static probes, test:begin and test:end, each of which is an instruction that does nothing.
func probes(t *testing.T) string {
	t.Helper()
	code := []byte{
		0x90,       // test:begin
		0x90,       // test:end
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, 60: exit
		0x0f, 0x05, // syscall
	}
	note := slices.Concat(probeNote(programStart, "begin"), probeNote(programStart+1, "end"))
	names := "\x00.note.stapsdt\x00"
	return program(t, "probes", code,
		section{elf.Section64{Name: 1, Type: uint32(elf.SHT_NOTE)}, note},
		section{elf.Section64{Type: uint32(elf.SHT_STRTAB)}, []byte(names)})
}

// section is a section of a program.
type section struct {
	head elf.Section64
	data []byte
}

// programStart is the address of the first instruction of a program.
const programStart = 0x400000 + programHead

const programHead = 0x200

// program writes a program for amd64 with two sections, the second of which has the sections' names.
func program(t *testing.T, name string, code []byte, sections ...section) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the program is for amd64")
	}
	const size = 0x1000
	var b bytes.Buffer
	encode(t, &b, elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
		Entry: programStart, Phoff: 64, Shoff: 64 + 56, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}, elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: programStart - programHead, Filesz: size, Memsz: size, Align: size,
	}, elf.Section64{})
	file := make([]byte, size)
	copy(file[programHead:], code)
	for i, at := range []uint64{0x400, 0x800} {
		s := sections[i]
		s.head.Off, s.head.Size = at, uint64(len(s.data))
		copy(file[at:], s.data)
		encode(t, &b, s.head)
	}
	if b.Len() > programHead {
		t.Fatalf("the heads take %d bytes, and there are %d", b.Len(), programHead)
	}
	copy(file, b.Bytes())
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, file, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// encode writes structures.
func encode(t *testing.T, b *bytes.Buffer, values ...any) {
	t.Helper()
	for _, v := range values {
		if err := binary.Write(b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
}

// probeNote is the note that says where a probe of provider test is, as <sys/sdt.h> writes it: without a counter of its users.
func probeNote(address uint64, name string) []byte {
	text := "test\x00" + name + "\x00\x00" // no arguments
	desc := binary.LittleEndian.AppendUint64(nil, address)
	desc = append(desc, make([]byte, 16)...)
	desc = append(desc, text...)
	n := binary.LittleEndian.AppendUint32(nil, 8)
	n = binary.LittleEndian.AppendUint32(n, uint32(len(desc)))
	n = binary.LittleEndian.AppendUint32(n, 3)
	n = append(n, "stapsdt\x00"...)
	n = append(n, desc...)
	return append(n, make([]byte, (4-len(n)%4)%4)...)
}

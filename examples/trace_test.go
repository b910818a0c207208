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

// setupProfile samples a process that does nothing but system calls.
func setupProfile(t *testing.T) row {
	c := exec.Command("cat", "/dev/zero") // its output goes to /dev/null
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
	if runtime.GOARCH != "amd64" {
		t.Skip("the program is for amd64")
	}
	const base, start, noteAt, namesAt, size = 0x400000, 0x200, 0x300, 0x400, 0x1000
	code := []byte{
		0x90,       // test:begin
		0x90,       // test:end
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, 60: exit
		0x0f, 0x05, // syscall
	}
	note := slices.Concat(probeNote(base+start, "begin"), probeNote(base+start+1, "end"))
	names := "\x00.note.stapsdt\x00.shstrtab\x00"
	var b bytes.Buffer
	for _, v := range []any{
		elf.Header64{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1,
			Entry: base + start, Phoff: 64, Shoff: 64 + 56, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64, Shnum: 3, Shstrndx: 2,
		},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Filesz: size, Memsz: size, Align: size},
		elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_NOTE), Off: noteAt, Size: uint64(len(note))},
		elf.Section64{Name: 15, Type: uint32(elf.SHT_STRTAB), Off: namesAt, Size: uint64(len(names))},
	} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	file := make([]byte, size)
	copy(file, b.Bytes())
	copy(file[start:], code)
	copy(file[noteAt:], note)
	copy(file[namesAt:], names)
	path := filepath.Join(t.TempDir(), "probes")
	if err := os.WriteFile(path, file, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
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

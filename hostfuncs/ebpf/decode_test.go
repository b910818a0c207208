package ebpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// FuzzStructures decodes each structure of the contract out of any memory, at any place and of any size, and compares with what the
// specification says in words.
func FuzzStructures(f *testing.F) {
	f.Add([]byte{}, uint32(0), uint32(0))
	f.Add(bytes.Repeat([]byte{1}, 200), uint32(8), uint32(104))
	f.Add(make([]byte, 5000), uint32(8), uint32(4096))
	f.Add(make([]byte, 5000), uint32(0xffffffff), uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, mem []byte, ptr, size uint32) {
		before := bytes.Clone(mem)
		decoded[abi.MapOptions](t, mem, ptr, size)
		decoded[abi.ProgramOptions](t, mem, ptr, size)
		decoded[abi.TestRun](t, mem, ptr, size)
		decoded[abi.Target](t, mem, ptr, size)
		decoded[abi.EventsOptions](t, mem, ptr, size)
		text(t, mem, ptr, size)
		if !bytes.Equal(before, mem) {
			t.Error("decoding has written")
		}
	})
}

// wantErrno is what the parameters of a call end with.
func wantErrno(t *testing.T, c *call, want abi.Errno) bool {
	t.Helper()
	if got := Errno(c.err); got != want {
		t.Fatalf("got %s, want %s: %v", got, want, c.err)
	}
	return want == abi.SUCCESS
}

func decoded[T any](t *testing.T, mem []byte, ptr, size uint32) {
	t.Helper()
	var v T
	c := &call{mem: mem}
	decodeAt(c, ptr, size, &v, "structure")
	end := uint64(ptr) + uint64(size)
	whole := binary.Size(&v)
	want := abi.SUCCESS
	switch {
	case size > 4096:
		want = abi.TOOBIG
	case end > uint64(len(mem)):
		want = abi.FAULT
	case int(size) > whole && bytes.Trim(mem[int(ptr)+whole:end], "\x00") != nil:
		want = abi.INVAL
	}
	if !wantErrno(t, c, want) {
		return
	}
	got, err := binary.Append(nil, binary.LittleEndian, &v)
	must(t, err)
	known := make([]byte, whole)
	copy(known, mem[ptr:end])
	if !bytes.Equal(got, known) {
		t.Errorf("%T: got %x, want %x", v, got, known)
	}
	room := bytes.Repeat([]byte{0xaa}, int(min(size, 300)))
	must(t, putStruct(room, &v))
	if n := whole; !bytes.Equal(room[:min(n, len(room))], known[:min(n, len(room))]) || len(room) > n && bytes.Trim(room[n:], "\x00") != nil {
		t.Errorf("%T: written as %x", v, room)
	}
}

func text(t *testing.T, mem []byte, ptr, size uint32) {
	t.Helper()
	c := &call{mem: mem}
	got := c.textAt(ptr, size, "text")
	end := uint64(ptr) + uint64(size)
	want := abi.SUCCESS
	switch {
	case size > 4096:
		want = abi.TOOBIG
	case end > uint64(len(mem)):
		want = abi.FAULT
	case !utf8.Valid(mem[ptr:end]) || bytes.IndexByte(mem[ptr:end], 0) >= 0:
		want = abi.INVAL
	}
	if wantErrno(t, c, want) && got != string(mem[ptr:end]) || want != abi.SUCCESS && got != "" {
		t.Errorf("got %q", got)
	}
}

// A fault is one line that names the thing, whatever the numbers are.
func TestTheFirstFaultIsKept(t *testing.T) {
	c := &call{mem: make([]byte, 100)}
	c.textAt(200, 1, "name")
	c.textAt(0, 5000, "path")
	var f *fault
	if !errors.As(c.err, &f) || f.errno != abi.FAULT || !strings.Contains(f.text, "name of 1 bytes at 0xc8") {
		t.Errorf("got %v", c.err)
	}
}

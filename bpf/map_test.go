package bpf

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

func TestMapOperationsGiveTheKernelsErrno(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "hash")
	key, value := []byte{1, 0, 0, 0}, []byte{1, 2, 3, 4, 5, 6, 7, 8}
	got := make([]byte, 8)
	taken, takenAgain := unix.Errno(0), unix.ENOENT
	if !kernel.Running().AtLeast(5, 14) { // a hash cannot do it there
		taken, takenAgain = enotsupp, enotsupp
	}
	for _, c := range []struct {
		what string
		err  error
		want unix.Errno
	}{
		{"lookup, missing", m.LookupInto(key, got, 0), unix.ENOENT},
		{"delete, missing", m.Delete(key), unix.ENOENT},
		{"update of a missing key", m.Update(key, value, 2), unix.ENOENT},
		{"insert", m.Update(key, value, 1), 0},
		{"insert again", m.Update(key, value, 1), unix.EEXIST},
		{"lookup", m.LookupInto(key, got, 0), 0},
		{"first key", m.NextKeyInto(nil, got[:4]), 0},
		{"after the last key", m.NextKeyInto(key, make([]byte, 4)), unix.ENOENT},
		{"unknown flag", m.Update(key, value, 1<<40), unix.EINVAL},
		{"take", m.LookupAndDelete(key, got, 0), taken},
		{"take again", m.LookupAndDelete(key, got, 0), takenAgain},
	} {
		var errno unix.Errno
		if c.err == nil != (c.want == 0) || c.err != nil && (!errors.As(c.err, &errno) || errno != c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.err, c.want)
		}
		if c.want == unix.ENOENT && !errors.Is(c.err, ebpf.ErrKeyNotExist) || c.want == unix.EEXIST && !errors.Is(c.err, ebpf.ErrKeyExist) {
			t.Errorf("%s: %v does not match cilium's error", c.what, c.err)
		}
		if c.want == enotsupp && !errors.Is(c.err, ErrUnsupported) {
			t.Errorf("%s: %v does not match %v", c.what, c.err, ErrUnsupported)
		}
	}
}

func TestLengthsMustBeExact(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "percpu")
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	if m.KeySize() != 4 || m.ValueSize() != 8*cpus {
		t.Fatalf("key %d, value %d bytes", m.KeySize(), m.ValueSize())
	}
	key, value := make([]byte, 4), make([]byte, m.ValueSize())
	for what, err := range map[string]error{
		"no key":      m.LookupInto(nil, value, 0),
		"short key":   m.LookupInto(key[:3], value, 0),
		"short value": m.LookupInto(key, value[:len(value)-1], 0),
		"one CPU":     m.Update(key, value[:5], 0),
		"long key":    m.Delete(append(key, 0)),
		"no next":     m.NextKeyInto(key, nil),
		"empty key":   m.NextKeyInto([]byte{}, key),
	} {
		if !errors.Is(err, ErrSize) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := errors.Join(m.Update(key, value, 0), m.LookupInto(key, value, 0)); err != nil {
		t.Error(err)
	}
}

func TestQueuesAndStacksHaveNoKeys(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	for name, want := range map[string][]byte{"queue": {1, 2}, "stack": {2, 1}} {
		m := getMap(t, o, name)
		v := make([]byte, 8)
		for i := byte(1); i <= 2; i++ {
			v[0] = i
			if err := m.Update(nil, v, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, w := range want {
			if err := m.LookupInto(nil, v, 0); err != nil || v[0] != w {
				t.Errorf("%s: peek %d, %v; want %d", name, v[0], err, w)
			}
			if err := m.LookupAndDelete([]byte{}, v, 0); err != nil || v[0] != w {
				t.Errorf("%s: pop %d, %v; want %d", name, v[0], err, w)
			}
		}
		if err := m.LookupAndDelete(nil, v, 0); !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMapsMayBeClosedWhileTheyAreUsed(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "array")
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		wg.Go(func() {
			key, value := make([]byte, 4), make([]byte, 8)
			for i := 0; ; i++ {
				if i == 100 {
					started <- struct{}{}
				}
				if err := m.LookupInto(key, value, 0); err != nil {
					if !errors.Is(err, os.ErrClosed) {
						t.Errorf("got %v", err)
					}
					return
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if m.FD() != -1 {
		t.Error("the descriptor is still open")
	}
}

func TestKeysMayLieOutsideTheHeap(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "hash")
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	binary.NativeEndian.PutUint64(mem[8:], 77)
	if err := errors.Join(m.Update(mem[:4], mem[8:16], 0), m.LookupInto(mem[:4], mem[16:24], 0)); err != nil || mem[16] != 77 {
		t.Errorf("got %v, %v", mem[16:24], err)
	}
}

func TestMapOperationsDoNotAllocate(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "hash")
	key, value := make([]byte, 4), make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		_ = m.Update(key, value, 0)
		_ = m.LookupInto(key, value, 0)
		_ = m.NextKeyInto(nil, key)
		_ = m.Delete(key)
		_ = m.Delete(key) // missing
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkMapLookup compares one look-up with the bare system call and with cilium/ebpf.
func BenchmarkMapLookup(b *testing.B) {
	o := load(b, "maps", LoadOptions{})
	m := getMap(b, o, "hash")
	key, value := make([]byte, 4), make([]byte, 8)
	if err := m.Update(key, value, 0); err != nil {
		b.Fatal(err)
	}
	b.Run("bowline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := m.LookupInto(key, value, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("syscall", func(b *testing.B) {
		b.ReportAllocs()
		attr := &mapAttr{fd: m.fd, key: userPointer{ptr: unsafe.Pointer(&key[0])}, value: userPointer{ptr: unsafe.Pointer(&value[0])}}
		for b.Loop() {
			if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_ELEM, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr)); errno != 0 {
				b.Fatal(errno)
			}
		}
	})
	b.Run("cilium", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := m.m.Lookup(key, value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMapUpdate compares one update with the bare system call.
func BenchmarkMapUpdate(b *testing.B) {
	o := load(b, "maps", LoadOptions{})
	m := getMap(b, o, "hash")
	key, value := make([]byte, 4), make([]byte, 8)
	b.Run("bowline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := m.Update(key, value, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("syscall", func(b *testing.B) {
		attr := &mapAttr{fd: m.fd, key: userPointer{ptr: unsafe.Pointer(&key[0])}, value: userPointer{ptr: unsafe.Pointer(&value[0])}}
		for b.Loop() {
			if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_UPDATE_ELEM, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr)); errno != 0 {
				b.Fatal(errno)
			}
		}
	})
}

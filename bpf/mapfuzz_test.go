package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// FuzzCursor walks maps of each kind from any cursor. What is left of the buffers must stay as it was, and a walk that ends has an end.
func FuzzCursor(f *testing.F) {
	kerneltest.RequireRoot(f)
	for kind := range batchKinds {
		f.Add(uint8(kind), false, uint8(4), []byte{})
		f.Add(uint8(kind), true, uint8(70), append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 40)...))
		f.Add(uint8(kind), true, uint8(1), append([]byte{2, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{3}, 40)...))
	}
	maps := make([]*Map, len(batchKinds))
	for i, kind := range batchKinds {
		maps[i] = create(f, MapOptions{Type: kind.typ, KeySize: uint32(kind.key), ValueSize: 8, MaxEntries: 64})
		for n := range 48 {
			if err := maps[i].Update(batchKey(kind.typ, kind.key, n), make([]byte, maps[i].ValueSize()), 0); err != nil {
				f.Fatal(err)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, emulated bool, room uint8, start []byte) {
		m := maps[int(which)%len(maps)]
		m.unbatched[opLookupBatch].Store(emulated)
		cursor := make([]byte, m.CursorSize())
		copy(cursor, start)
		n := int(room)
		for range 200 { // far more rounds than there are entries
			keys, values := guarded(n*m.KeySize()), guarded(n*m.ValueSize())
			before := bytes.Clone(cursor)
			got, err := m.LookupBatch(cursor, keys[:n*m.KeySize()], values[:n*m.ValueSize()], 0)
			if got < 0 || got > n || !intact(keys[n*m.KeySize():]) || !intact(values[n*m.ValueSize():]) {
				t.Fatalf("%s: %d of %d entries, or written behind the end", m, got, n)
			}
			var errno unix.Errno
			switch {
			case err == nil && got == 0:
				return
			case err == nil:
			case errors.Is(err, unix.ENOSPC) && n > 0:
				if !bytes.Equal(before, cursor) {
					t.Fatalf("%s: the cursor moved", m)
				}
				n = 64
			case errors.Is(err, ErrCursor), errors.Is(err, ErrSize) && n == 0, errors.As(err, &errno):
				return
			default:
				t.Fatalf("%s: %v", m, err)
			}
		}
		t.Fatalf("%s: no end from cursor %x", m, start)
	})
}

// guarded is a buffer with bytes behind it that nobody may change.
func guarded(n int) []byte { return append(make([]byte, n), bytes.Repeat([]byte{0xa5}, 64)...) }

func intact(b []byte) bool { return len(bytes.Trim(b, "\xa5")) == 0 }

// FuzzUserFrames writes any bytes as frames to a ring, and the program must get exactly what was said to be written.
func FuzzUserFrames(f *testing.F) {
	kerneltest.RequireRoot(f)
	f.Add([]byte{})
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{12, 0, 0, 0, 9, 9, 9, 9, 12, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 0}, 600))
	o, u := loadUser(f)
	r := openRing(f, o, "ring")
	back := make([]byte, 1<<16)
	f.Fuzz(func(t *testing.T, b []byte) {
		used, n, err := u.WriteBatch(b)
		if used > len(b) || n < 0 || err != nil && !errors.Is(err, ErrFull) && !errors.Is(err, ErrSize) || err == nil && used != len(b) {
			t.Fatalf("%d of %d bytes, %d records, %v", used, len(b), n, err)
		}
		count := 0
		for at := 0; at < used; count++ {
			at += int(frameSize(uint64(binary.LittleEndian.Uint32(b[at:]))))
		}
		if got := pass(t, o); got != n || count != n {
			t.Fatalf("the program got %d records, %d are in the frames, %d were said to be written", got, count, n)
		}
		if _, _, err := r.ReadInto(back, 0); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPinName pins under any name; in the folder there must be exactly that one, and nothing beside the folder.
func FuzzPinName(f *testing.F) {
	kerneltest.RequireRoot(f)
	for _, name := range []string{"a", "", "..", "../x", "a.b", "a/b", ".x", "a,b", "\x00", "ä", strings.Repeat("n", 65)} {
		f.Add(name)
	}
	root := kerneltest.Bpffs(f)
	empty, err := os.ReadDir(root) // the kernel's own files
	if err != nil {
		f.Fatal(err)
	}
	d, err := OpenPinDir(root + "/folder")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { d.Close() })
	m := create(f, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	f.Fuzz(func(t *testing.T, name string) {
		err := d.PinMap(name, m)
		if (err == nil) != (checkPinName(name) == nil) || err != nil && !errors.Is(err, ErrName) {
			t.Fatalf("%q: %v", name, err)
		}
		names, lerr := d.List()
		if lerr != nil || err == nil && (len(names) != 1 || names[0] != name) || err != nil && len(names) != 0 {
			t.Fatalf("%q: there are %q, %v", name, names, lerr)
		}
		if beside, lerr := os.ReadDir(root); lerr != nil || len(beside) != len(empty)+1 {
			t.Fatalf("%q: beside the folder are %v, %v", name, beside, lerr)
		}
		if err == nil {
			if err := d.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzCreateMap makes maps of any type and size under a small limit. What is made must be what was asked for, and cost no more.
func FuzzCreateMap(f *testing.F) {
	kerneltest.RequireRoot(f)
	for typ, o := range everyType(f) {
		f.Add(uint32(typ), o.KeySize, o.ValueSize, o.MaxEntries, o.Flags, typ.String())
	}
	inner := create(f, MapOptions{Name: "inner", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, typ, key, value, entries, flags uint32, name string) {
		m, err := CreateMap(MapOptions{
			Name: name, Type: ebpf.MapType(typ), KeySize: key, ValueSize: value, MaxEntries: entries, Flags: flags, Inner: inner, MapMemory: limit,
		})
		if err != nil {
			if strings.ContainsRune(strings.ReplaceAll(err.Error(), name, ""), '\n') {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		defer m.Close()
		if m.Memory() > limit || m.Type() != ebpf.MapType(typ) || m.KeySize() != int(key) && key != 0 {
			t.Errorf("got %s, key of %d bytes, %d bytes charged", m, m.KeySize(), m.Memory())
		}
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Memlock > 4*limit {
			t.Errorf("%s: the kernel says %d bytes for (%d, %d, %d, %#x), %d were charged", m, info.Memlock, key, value, entries, flags, m.Memory())
		}
	})
}

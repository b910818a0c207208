package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// walk reads a whole map by batches of at most size entries and returns how often each key came. Where a bucket does not fit it
// gives twice the room, as the error asks.
func walk(t *testing.T, m *Map, size int, check func(key, value []byte)) map[string]int {
	t.Helper()
	seen := map[string]int{}
	cursor := make([]byte, m.CursorSize())
	for range 1 << 20 {
		keys, values := make([]byte, size*m.KeySize()), make([]byte, size*m.ValueSize())
		before := bytes.Clone(cursor)
		n, err := m.LookupBatch(cursor, keys, values, 0)
		if errors.Is(err, unix.ENOSPC) {
			if !bytes.Equal(cursor, before) {
				t.Fatalf("the cursor moved: %x, was %x", cursor, before)
			}
			size *= 2
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if n > size {
			t.Fatalf("%s: %d entries where there is room for %d", m, n, size)
		}
		if n == 0 {
			if n, err := m.LookupBatch(cursor, keys, values, 0); n != 0 || err != nil {
				t.Fatalf("%s: after the end: got %d, %v", m, n, err)
			}
			return seen
		}
		for i := range n {
			key := keys[i*m.KeySize() : (i+1)*m.KeySize()]
			seen[string(key)]++
			check(key, values[i*m.ValueSize():(i+1)*m.ValueSize()])
		}
	}
	t.Fatalf("%s: no end", m)
	return nil
}

// batchKinds are types of maps whose entries are numbered; lpm keys have the length of their prefix first.
var batchKinds = []struct {
	typ ebpf.MapType
	key int
}{
	{ebpf.Hash, 4}, {ebpf.Hash, 37}, {ebpf.LRUHash, 4}, {ebpf.PerCPUHash, 8}, {ebpf.LRUCPUHash, 4}, {ebpf.Array, 4}, {ebpf.PerCPUArray, 4}, {ebpf.LPMTrie, 8},
}

func batchKey(typ ebpf.MapType, size, i int) []byte {
	key := make([]byte, size)
	if typ == ebpf.LPMTrie {
		binary.NativeEndian.PutUint32(key, 32)
		binary.BigEndian.PutUint32(key[4:], uint32(i))
	} else {
		binary.NativeEndian.PutUint32(key, uint32(i))
	}
	return key
}

func TestEveryEntryComesOnce(t *testing.T) {
	for _, kind := range batchKinds {
		for _, n := range []int{1, 63, 64, 65, 1000} {
			for _, emulated := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%d/emulated=%v", kind.typ, kind.key, n, emulated), func(t *testing.T) {
					entries := n
					if kind.typ == ebpf.LRUHash || kind.typ == ebpf.LRUCPUHash {
						entries = 16 * n // so that none is thrown out
					}
					m := create(t, MapOptions{Type: kind.typ, KeySize: uint32(kind.key), ValueSize: 8, MaxEntries: uint32(max(entries, 4096))})
					if kind.typ == ebpf.Array || kind.typ == ebpf.PerCPUArray {
						m = create(t, MapOptions{Type: kind.typ, KeySize: 4, ValueSize: 8, MaxEntries: uint32(n)})
					}
					for op := range m.unbatched {
						m.unbatched[op].Store(emulated)
					}
					want := map[string]int{}
					var keys, values []byte
					for i := range n {
						key := batchKey(kind.typ, kind.key, i)
						value := bytes.Repeat(binary.NativeEndian.AppendUint64(nil, uint64(i)+7), m.ValueSize()/8)
						keys, values = append(keys, key...), append(values, value...)
						want[string(key)] = i
					}
					if got, err := m.UpdateBatch(keys, values, 0); got != n || err != nil {
						t.Fatalf("updated %d of %d: %v", got, n, err)
					}
					for _, size := range []int{1, 7, 64, n, n + 1, 3000} {
						seen := walk(t, m, size, func(key, value []byte) {
							if got := binary.NativeEndian.Uint64(value[len(value)-8:]); got != uint64(want[string(key)])+7 {
								t.Fatalf("key %x: got %d, want %d", key, got, want[string(key)]+7)
							}
						})
						for key := range want {
							if seen[key] != 1 {
								t.Fatalf("batches of %d: key %x came %d times", size, key, seen[key])
							}
						}
						if len(seen) != n {
							t.Fatalf("batches of %d: %d keys, want %d", size, len(seen), n)
						}
					}
				})
			}
		}
	}
}

func TestHashOfMapsGivesIDs(t *testing.T) {
	inner := create(t, MapOptions{Name: "inner", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	info, err := inner.Info()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []ebpf.MapType{ebpf.HashOfMaps, ebpf.ArrayOfMaps} {
		m := create(t, MapOptions{Type: typ, KeySize: 4, MaxEntries: 100, Inner: inner})
		for i := range 65 {
			if err := m.PutMap(batchKey(typ, 4, i), inner, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, size := range []int{1, 16, 65, 200} {
			seen := walk(t, m, size, func(key, value []byte) {
				if got := binary.NativeEndian.Uint32(value); got != info.ID {
					t.Fatalf("%s: key %x: got %d, want %d", typ, key, got, info.ID)
				}
			})
			if len(seen) != 65 {
				t.Errorf("%s: %d keys, want 65", typ, len(seen))
			}
		}
		keys, values := make([]byte, 8), make([]byte, 8)
		_, err := m.UpdateBatch(keys, values, 0)
		wantError(t, err, ErrType, "its values are descriptors")
		_, err = m.LookupAndDeleteBatch(make([]byte, m.CursorSize()), keys, values, 0)
		wantError(t, err, ErrType, "its values are descriptors")
	}
}

func TestLookupAndDeleteBatchEmptiesTheMap(t *testing.T) {
	for _, kind := range []ebpf.MapType{ebpf.Hash, ebpf.PerCPUHash, ebpf.LPMTrie} {
		for _, emulated := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/emulated=%v", kind, emulated), func(t *testing.T) {
				m := create(t, MapOptions{Type: kind, KeySize: 8, ValueSize: 8, MaxEntries: 1000})
				m.unbatched[opLookupDeleteBatch].Store(emulated)
				for i := range 333 {
					if err := m.Update(batchKey(kind, 8, i), make([]byte, m.ValueSize()), 0); err != nil {
						t.Fatal(err)
					}
				}
				seen := map[string]bool{}
				cursor, keys, values := make([]byte, m.CursorSize()), make([]byte, 8*100), make([]byte, m.ValueSize()*100)
				for {
					n, err := m.LookupAndDeleteBatch(cursor, keys, values, 0)
					if err != nil {
						t.Fatal(err)
					}
					if n == 0 {
						break
					}
					for i := range n {
						seen[string(keys[8*i:8*i+8])] = true
					}
				}
				if len(seen) != 333 {
					t.Errorf("got %d keys, want 333", len(seen))
				}
				if err := m.NextKeyInto(nil, keys[:8]); !errors.Is(err, ebpf.ErrKeyNotExist) {
					t.Errorf("something is left: %v", err)
				}
			})
		}
	}
}

// The keys of a DevMap are all numbers below its capacity, whether there is something or not.
func TestTakingBatchesPassOverEmptyPlaces(t *testing.T) {
	const entries, full = 1<<16 + 5000, 1<<16 + 4321
	m := create(t, MapOptions{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: entries})
	for _, i := range []int{3, full, entries - 1} {
		if err := m.Update(batchKey(ebpf.DevMap, 4, i), binary.NativeEndian.AppendUint32(nil, 1), 0); err != nil { // 1 is the loopback device
			t.Fatal(err)
		}
	}
	cursor, keys, values := make([]byte, m.CursorSize()), make([]byte, 4), make([]byte, 4)
	again := 0
	for _, want := range []int{3, full, entries - 1} {
		n, err := m.LookupAndDeleteBatch(cursor, keys, values, 0)
		if errors.Is(err, unix.EAGAIN) {
			again++
			n, err = m.LookupAndDeleteBatch(cursor, keys, values, 0)
		}
		if n != 1 || err != nil || binary.NativeEndian.Uint32(keys) != uint32(want) {
			t.Errorf("took %d (%x), %v; want number %d", n, keys, err, want)
		}
	}
	if again != 1 {
		t.Errorf("it said %d times that it has not got to the end, want once", again)
	}
	if n, err := m.LookupAndDeleteBatch(cursor, keys, values, 0); n != 0 || err != nil {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

func TestBatchesSayHowFarTheyGot(t *testing.T) {
	for _, emulated := range []bool{false, true} {
		m := create(t, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 5, Flags: unix.BPF_F_NO_PREALLOC})
		for op := range m.unbatched {
			m.unbatched[op].Store(emulated)
		}
		var keys []byte
		for i := range 10 {
			keys = append(keys, batchKey(ebpf.Hash, 4, i)...)
		}
		if n, err := m.UpdateBatch(keys, make([]byte, 80), 0); n != 5 || !errors.Is(err, unix.E2BIG) {
			t.Errorf("update: got %d, %v", n, err)
		}
		if n, err := m.UpdateBatch(keys[:8], make([]byte, 16), 1); n != 0 || !errors.Is(err, ebpf.ErrKeyExist) {
			t.Errorf("insert: got %d, %v", n, err)
		}
		if n, err := m.UpdateBatch(keys[:8], make([]byte, 16), 1<<40); n != 0 || !errors.Is(err, unix.EINVAL) {
			t.Errorf("unknown flags: got %d, %v", n, err)
		}
		if n, err := m.UpdateBatch(keys[:8], make([]byte, 16), 4); n != 0 || !errors.Is(err, unix.EINVAL) {
			t.Errorf("no lock in it: got %d, %v", n, err)
		}
		if n, err := m.DeleteBatch(keys); n != 5 || !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("delete: got %d, %v", n, err)
		}
		if n, err := m.DeleteBatch(nil); n != 0 || err != nil {
			t.Errorf("nothing: got %d, %v", n, err)
		}
	}
}

func TestBatchesThatDoNotFit(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 5})
	cursor := make([]byte, m.CursorSize())
	lookup := func(cursor, keys, values []byte) error {
		_, err := m.LookupBatch(cursor, keys, values, 0)
		return err
	}
	update := func(keys, values []byte) error {
		_, err := m.UpdateBatch(keys, values, 0)
		return err
	}
	for what, err := range map[string]error{
		"no cursor":      lookup(nil, make([]byte, 4), make([]byte, 8)),
		"long cursor":    lookup(make([]byte, m.CursorSize()+1), make([]byte, 4), make([]byte, 8)),
		"no keys":        lookup(cursor, nil, make([]byte, 8)),
		"short values":   lookup(cursor, make([]byte, 4), make([]byte, 7)),
		"cut key":        update(make([]byte, 5), make([]byte, 8)),
		"too few values": update(make([]byte, 8), make([]byte, 8)),
		"cut value":      update(make([]byte, 4), make([]byte, 9)),
	} {
		if !errors.Is(err, ErrSize) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	for _, o := range []MapOptions{{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 4}, {Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize())}, {Type: ebpf.SkStorage, KeySize: 4, ValueSize: 8}} {
		m := create(t, o)
		_, err := m.LookupBatch(make([]byte, m.CursorSize()), make([]byte, 64), make([]byte, 64), 0)
		wantError(t, err, ErrType, "batch lookup in map "+o.Type.String())
		_, err = m.DeleteBatch(make([]byte, 64))
		wantError(t, err, ErrType, "batch delete")
	}
}

// A bucket that does not fit leaves the cursor alone, in the middle of the walk too.
func TestABucketThatDoesNotFitIsTold(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4000})
	for i := range 4000 {
		if err := m.Update(batchKey(ebpf.Hash, 4, i), make([]byte, 8), 0); err != nil {
			t.Fatal(err)
		}
	}
	cursor := make([]byte, m.CursorSize())
	for {
		before := bytes.Clone(cursor)
		n, err := m.LookupBatch(cursor, make([]byte, 4), make([]byte, 8), 0)
		if errors.Is(err, unix.ENOSPC) {
			wantError(t, err, unix.ENOSPC, "give room for twice as many")
			if !bytes.Equal(cursor, before) {
				t.Errorf("the cursor is %x, was %x", cursor, before)
			}
			return
		}
		if n == 0 || err != nil {
			t.Fatalf("no bucket of 4000 entries held two: %d, %v", n, err)
		}
	}
}

// Arrays of programs have places without a value, and a call passes over a bounded number of them.
func TestEmptyPlacesArePassedOver(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	const entries = 3*maxMissed + 10
	m := create(t, MapOptions{Type: ebpf.ProgramArray, KeySize: 4, MaxEntries: entries})
	for _, i := range []int{0, entries - 1} {
		if err := m.PutProgram(batchKey(m.Type(), 4, i), getProgram(t, o, "second"), 0); err != nil {
			t.Fatal(err)
		}
	}
	var got []uint32
	cursor, key, value := make([]byte, m.CursorSize()), make([]byte, 4), make([]byte, 4)
	again := 0
	for {
		n, err := m.LookupBatch(cursor, key, value, 0)
		if errors.Is(err, unix.EAGAIN) && again < 4 {
			again++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		got = append(got, binary.NativeEndian.Uint32(key))
	}
	if len(got) != 2 || got[0] != 0 || got[1] != entries-1 || again == 0 {
		t.Errorf("got keys %d, called again %d times", got, again)
	}
}

func TestSocketsWithoutCookiesCannotBeListed(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 4})
	_, err := m.LookupBatch(make([]byte, m.CursorSize()), make([]byte, 4), make([]byte, 4), 0)
	wantError(t, err, ErrUnsupported, "batch lookup in map SockMap")
}

func TestAnyCursorIsSafe(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range batchKinds {
		m := create(t, MapOptions{Type: kind.typ, KeySize: uint32(kind.key), ValueSize: 8, MaxEntries: 64})
		for i := range 32 {
			if err := m.Update(batchKey(kind.typ, kind.key, i), make([]byte, m.ValueSize()), 0); err != nil {
				t.Fatal(err)
			}
		}
		const room, guard = 16, 32
		for i := range 2000 {
			m.unbatched[opLookupBatch].Store(i&1 == 1)
			cursor := make([]byte, m.CursorSize())
			for j := range cursor {
				cursor[j] = byte(rng.Uint32())
			}
			if i%8 != 0 {
				binary.NativeEndian.PutUint64(cursor, uint64(rng.IntN(5)))
			}
			if i%3 == 0 {
				binary.NativeEndian.PutUint32(cursor[8:], uint32(rng.IntN(70)))
			}
			keys, values := make([]byte, room*m.KeySize()+guard), make([]byte, room*m.ValueSize()+guard)
			for j := range guard {
				keys[len(keys)-1-j], values[len(values)-1-j] = 0xa5, 0xa5
			}
			n, err := m.LookupBatch(cursor, keys[:room*m.KeySize()], values[:room*m.ValueSize()], 0)
			var errno unix.Errno
			if n < 0 || n > room || err != nil && !errors.Is(err, ErrCursor) && !errors.As(err, &errno) {
				t.Fatalf("%s: got %d, %v for cursor %x", m, n, err, cursor)
			}
			for j := range guard {
				if keys[len(keys)-1-j] != 0xa5 || values[len(values)-1-j] != 0xa5 {
					t.Fatalf("%s: it wrote behind the end for cursor %x", m, cursor)
				}
			}
		}
	}
}

func TestBatchesOutsideTheHeapAllocateNothing(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 64})
	mem, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	keys, values, cursor := mem[:256], mem[4096:4096+512], mem[8192:8192+m.CursorSize()]
	for i := range 64 {
		binary.NativeEndian.PutUint32(keys[4*i:], uint32(i))
	}
	if n := testing.AllocsPerRun(50, func() {
		if n, err := m.UpdateBatch(keys, values, 0); n != 64 || err != nil {
			t.Fatal(n, err)
		}
		clear(cursor)
		if n, err := m.LookupBatch(cursor, keys, values, 0); n != 64 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := m.DeleteBatch(keys); n != 64 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMapsMayBeClosedDuringBatches(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 512})
	var wg sync.WaitGroup
	started := make(chan struct{}, 3)
	for range 3 {
		wg.Go(func() {
			keys, values, cursor := make([]byte, 4*256), make([]byte, 8*256), make([]byte, m.CursorSize())
			for i := range 256 {
				binary.NativeEndian.PutUint32(keys[4*i:], uint32(i))
			}
			for i := 0; ; i++ {
				if i == 20 {
					started <- struct{}{}
				}
				_, err := m.UpdateBatch(keys, values, 0)
				clear(cursor)
				_, err2 := m.LookupBatch(cursor, keys, values, 0)
				if errors.Is(err, os.ErrClosed) || errors.Is(err2, os.ErrClosed) {
					return
				}
				if err != nil || err2 != nil {
					t.Errorf("got %v, %v", err, err2)
					return
				}
			}
		})
	}
	for range 3 {
		<-started
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// BenchmarkMapBatch is the cost of an entry in a batch of 256.
func BenchmarkMapBatch(b *testing.B) {
	m := create(b, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1024})
	keys, values, cursor := make([]byte, 4*256), make([]byte, 8*256), make([]byte, m.CursorSize())
	for i := range 256 {
		binary.NativeEndian.PutUint32(keys[4*i:], uint32(i))
	}
	if _, err := m.UpdateBatch(keys, values, 0); err != nil {
		b.Fatal(err)
	}
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for n < b.N {
			clear(cursor)
			k, err := m.LookupBatch(cursor, keys, values, 0)
			if err != nil {
				b.Fatal(err)
			}
			n += k
		}
	})
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for n < b.N {
			k, err := m.UpdateBatch(keys, values, 0)
			if err != nil {
				b.Fatal(err)
			}
			n += k
		}
	})
}

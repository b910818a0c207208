package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// frames cuts what ReadInto wrote, and fails if it is not as it is said to be.
func frames(t testing.TB, b []byte, source uint16) [][]byte {
	t.Helper()
	var out [][]byte
	for len(b) > 0 {
		if len(b) < FrameHeader {
			t.Fatalf("%d bytes are left", len(b))
		}
		size := int(binary.LittleEndian.Uint32(b))
		if got := binary.LittleEndian.Uint16(b[4:]); got != source || binary.LittleEndian.Uint16(b[6:]) != 0 {
			t.Fatalf("source %d, flags %x", got, b[6:8])
		}
		end := FrameHeader + (size+7)&^7
		if end > len(b) {
			t.Fatalf("a record of %d bytes is cut", size)
		}
		for _, c := range b[FrameHeader+size : end] {
			if c != 0 {
				t.Fatalf("padding is %x", b[FrameHeader+size:end])
			}
		}
		out = append(out, b[FrameHeader:FrameHeader+size])
		b = b[end:]
	}
	return out
}

// loadSized loads the programs that send records of any size, and others of that object.
func loadSized(t testing.TB, ringBytes uint32, others ...string) *Object {
	t.Helper()
	s := open(t, "sized")
	numbers := make([]byte, 8192)
	for i := range numbers {
		numbers[i] = byte(i)
	}
	err := errors.Join(s.SetVariable("bytes", numbers), s.SetMaxEntries("ring", ringBytes))
	for _, name := range others {
		err = errors.Join(err, s.SetLoad(name, true))
	}
	if err != nil {
		t.Fatal(err)
	}
	return loadSpec(t, s, LoadOptions{})
}

// send sends n records of size bytes.
func send(t testing.TB, o *Object, n, size int) {
	t.Helper()
	p := getProgram(t, o, "sized")
	if ret, err := p.Kernel().Run(&ebpf.RunOptions{Context: [2]uint64{uint64(n), uint64(size)}}); ret != 0 || err != nil {
		t.Fatal(ret, err)
	}
}

func wantRecord(t testing.TB, rec []byte, i, size int) {
	t.Helper()
	if len(rec) != size {
		t.Fatalf("a record of %d bytes, want %d", len(rec), size)
	}
	for j, c := range rec {
		if c != byte(i+j) {
			t.Fatalf("record %d of %d bytes: byte %d is %d, want %d", i, size, j, c, byte(i+j))
		}
	}
}

func TestFramesHoldRecordsOfAnySize(t *testing.T) {
	o := loadSized(t, 1<<16)
	r := openRing(t, o, "ring")
	for size := range 300 {
		send(t, o, 3, size)
		dst := bytes.Repeat([]byte{0xa5}, 3*(8+304)+16)
		offset := size % 8 // at any address
		used, n, err := r.ReadInto(dst[offset:len(dst)-8], uint16(size))
		if n != 3 || err != nil {
			t.Fatalf("%d bytes: got %d, %v", size, n, err)
		}
		got := frames(t, dst[offset:offset+used], uint16(size))
		for i := range 3 {
			wantRecord(t, got[i], i, size)
		}
		for _, c := range dst[offset+used:] {
			if c != 0xa5 {
				t.Fatalf("%d bytes: it wrote behind the frames", size)
			}
		}
	}
}

func TestFramesStopWhereThereIsNoRoom(t *testing.T) {
	o := loadSized(t, 1<<16)
	r := openRing(t, o, "ring")
	send(t, o, 5, 100)
	for _, room := range []int{0, 7, 8, 111} {
		used, n, err := r.ReadInto(make([]byte, room), 0)
		var e *RecordSizeError
		if used != 0 || n != 0 || !errors.As(err, &e) || e.Need != 112 || !errors.Is(err, ErrRecordSize) {
			t.Errorf("room for %d: got %d, %d, %v", room, used, n, err)
		}
	}
	dst := make([]byte, 1000)
	for i, c := range []struct{ room, records int }{{112, 1}, {335, 2}, {1000, 2}, {1000, 0}} {
		used, n, err := r.ReadInto(dst[:c.room], 9)
		if used != 112*c.records || n != c.records || err != nil {
			t.Errorf("read %d: got %d, %d, %v", i, used, n, err)
		}
	}
}

// The ring goes round many times while the room changes, so that steps, wraps and stops meet in every way.
func TestFramesLoseNothing(t *testing.T) {
	o := loadSized(t, 1<<16)
	r := openRing(t, o, "ring")
	rng := rand.New(rand.NewPCG(3, 4))
	dst := make([]byte, 1<<16)
	for range 2000 {
		n, size := rng.IntN(64), rng.IntN(1000)
		send(t, o, n, size)
		var got int
		for got < n {
			room := FrameHeader + size + 7 + rng.IntN(20000)
			used, k, err := r.ReadInto(dst[:room], 1)
			if err != nil || k == 0 {
				t.Fatal(k, err)
			}
			for _, rec := range frames(t, dst[:used], 1) {
				wantRecord(t, rec, got, size)
				got++
			}
		}
		if _, k, err := r.ReadInto(dst, 1); k != 0 || err != nil || got != n {
			t.Fatalf("%d too many, %v", k+got-n, err)
		}
	}
	if r.Lost() != 0 {
		t.Errorf("lost %d", r.Lost())
	}
}

func TestFramesSkipDiscardedRecords(t *testing.T) {
	o := loadAlso(t, "events", "reserve")
	r := openRing(t, o, "ring")
	run(t, o, "reserve", 15)
	dst := make([]byte, 4096)
	used, n, err := r.ReadInto(dst, 0)
	if n != 8 || err != nil {
		t.Fatal(n, err)
	}
	want := []uint64{0, 1, 3, 6, 7, 10, 12, 13}
	for i, rec := range frames(t, dst[:used], 0) {
		if got := binary.NativeEndian.Uint64(rec); got != want[i] {
			t.Errorf("record %d: got %d, want %d", i, got, want[i])
		}
	}
}

func TestFramesOfAPerfArray(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	p := openPerf(t, o, 1)
	seen := make(map[uint64]bool)
	dst := make([]byte, 40*7+3)
	for range 40 {
		runPerf(t, o, 60)
		if _, _, err := p.ReadInto(dst[:20], 2); !errors.Is(err, ErrRecordSize) {
			t.Fatalf("got %v", err)
		}
		for {
			used, n, err := p.ReadInto(dst, 2)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			for _, rec := range frames(t, dst[:used], 2) {
				i := binary.NativeEndian.Uint64(rec)
				if i >= 2400 || seen[i] || binary.NativeEndian.Uint64(rec[8:]) != 0 {
					t.Fatalf("record %d, seen %v", i, seen[i])
				}
				seen[i] = true
			}
		}
	}
	if len(seen) != 2400 || p.Lost() != 0 {
		t.Errorf("read %d, lost %d", len(seen), p.Lost())
	}
}

func TestFramesAreReadByOneAndNotAfterClose(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	p := openPerf(t, o, 0)
	run(t, o, "output", 2)
	runPerf(t, o, 1)
	for _, e := range []interface {
		Events
		ReadInto([]byte, uint16) (int, int, error)
	}{r, p} {
		_, err := e.Drain(0, func([]byte) error {
			_, _, err := e.ReadInto(make([]byte, 100), 0)
			return err
		})
		if !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			dst := make([]byte, 1<<16)
			for {
				if _, _, err := e.ReadInto(dst, 0); err != nil {
					if !errors.Is(err, os.ErrClosed) {
						t.Errorf("got %v", err)
					}
					return
				}
			}
		})
		run(t, o, "output", 100)
		runPerf(t, o, 10)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	o := load(t, "events", LoadOptions{})
	r := openRing(t, o, "ring")
	p := openPerf(t, o, 0)
	dst := make([]byte, 1<<16)
	for name, f := range map[string]func(){
		"ring": func() { r.ReadInto(dst, 0) },
		"perf": func() { p.ReadInto(dst, 0) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Another process may write to the page with the reader's position, and a ring's memory is the kernel's: neither may lead out of it.
func TestFramesOfADamagedRing(t *testing.T) {
	o := loadSized(t, 1<<16)
	r := openRing(t, o, "ring")
	dst := make([]byte, 4096)
	send(t, o, 1, 100)
	r.pos += 3 << 20
	if _, _, err := r.ReadInto(dst, 0); !errors.Is(err, ErrSize) {
		t.Errorf("got %v", err)
	}
	r.pos -= 3 << 20
	if _, n, err := r.ReadInto(dst, 0); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// BenchmarkFrames reads full rings of records with 64 bytes into memory that a guest's could be, beside a Drain that copies
// nothing. The time to fill the rings does not count.
func BenchmarkFrames(b *testing.B) {
	for _, records := range []int{1 << 10, 1 << 16} {
		o := loadSized(b, uint32(128*records), "fill64")
		p := getProgram(b, o, "fill64")
		mem, err := unix.Mmap(-1, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Munmap(mem)
		read := map[string]func(r *Ring) (int, error){
			"Drain": func(r *Ring) (int, error) { return r.Drain(0, func([]byte) error { return nil }) },
		}
		for _, room := range []int{4 << 10, 64 << 10} {
			read[fmt.Sprintf("ReadInto-%dK", room>>10)] = func(r *Ring) (int, error) {
				_, n, err := r.ReadInto(mem[:room], 0)
				return n, err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(read)) {
			b.Run(fmt.Sprintf("%s/%d", name, records), func(b *testing.B) {
				r := openRing(b, o, "ring")
				defer r.Close()
				b.ReportAllocs()
				n := 0
				for n < b.N {
					b.StopTimer()
					if _, err := p.Kernel().Run(&ebpf.RunOptions{Context: [1]uint64{uint64(records)}}); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					for k := 1; k > 0; n += k {
						if k, err = read[name](r); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
			})
		}
	}
}

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// loadUser loads the program that passes on what user space writes, where the kernel has such rings.
func loadUser(t testing.TB) (*Object, *UserRing) {
	t.Helper()
	create(t, MapOptions{Type: ebpf.UserRingbuf, MaxEntries: uint32(os.Getpagesize())}) // skips before Linux 6.1
	o := load(t, "userring", LoadOptions{})
	u, err := OpenUserRing(getMap(t, o, "user"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	return o, u
}

// pass runs the program and returns how many records it got.
func pass(t testing.TB, o *Object) int {
	t.Helper()
	ret, err := getProgram(t, o, "pass").Kernel().Run(&ebpf.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return int(int32(ret))
}

// userRecord is a record of size bytes, which begins with its size.
func userRecord(rng *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	binary.NativeEndian.PutUint32(b, uint32(size))
	return b
}

func TestProgramsReadWhatIsWritten(t *testing.T) {
	o, u := loadUser(t)
	r := openRing(t, o, "ring")
	rng := rand.New(rand.NewPCG(5, 6))
	dst := make([]byte, 1<<16)
	full := 0
	for round := range 500 { // many times around
		var sent [][]byte
		for {
			rec := userRecord(rng, 4+rng.IntN(700))
			if round%2 == 1 && rng.IntN(4) == 0 {
				break
			}
			err := u.Write(rec)
			if errors.Is(err, ErrFull) {
				full++
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, rec)
		}
		if n := pass(t, o); n != len(sent) {
			t.Fatalf("round %d: the program got %d records, want %d", round, n, len(sent))
		}
		used, _, err := r.ReadInto(dst, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := frames(t, dst[:used], 0)
		if len(got) != len(sent) {
			t.Fatalf("round %d: %d records came back, want %d", round, len(got), len(sent))
		}
		for i := range sent {
			if !bytes.Equal(got[i], sent[i]) {
				t.Fatalf("round %d: record %d is %x, want %x", round, i, got[i], sent[i])
			}
		}
	}
	if full == 0 {
		t.Error("the ring was never full")
	}
}

func TestFramesAreWrittenAsTheyAreRead(t *testing.T) {
	o, u := loadUser(t)
	r := openRing(t, o, "ring")
	rng := rand.New(rand.NewPCG(7, 8))
	var all []byte
	for range 9 {
		rec := userRecord(rng, 4+rng.IntN(90))
		all = binary.LittleEndian.AppendUint32(all, uint32(len(rec)))
		all = append(all, 0, 0, 0, 0)
		all = append(all, rec...)
		all = append(all, make([]byte, -len(rec)&7)...)
	}
	if used, n, err := u.WriteBatch(all); used != len(all) || n != 9 || err != nil {
		t.Fatal(used, n, err)
	}
	if n := pass(t, o); n != 9 {
		t.Fatalf("the program got %d records", n)
	}
	dst := make([]byte, 4096)
	if used, n, err := r.ReadInto(dst, 0); n != 9 || err != nil || !bytes.Equal(dst[:used], all) {
		t.Errorf("got %d records, %v:\n%x, want\n%x", n, err, dst[:used], all)
	}

	used, n, err := u.WriteBatch(append(bytes.Clone(all), 1, 2, 3))
	if used != len(all) || n != 9 || !errors.Is(err, ErrSize) {
		t.Errorf("a cut header: got %d, %d, %v", used, n, err)
	}
	if n := pass(t, o); n != 9 {
		t.Errorf("the program got %d records", n)
	}
	if used, n, err := u.WriteBatch([]byte{255, 255, 255, 255, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}); used != 0 || n != 0 || !errors.Is(err, ErrSize) {
		t.Errorf("a huge size: got %d, %d, %v", used, n, err)
	}
	var many []byte
	for range 9 {
		many = append(many, all...)
	}
	written := 0
	for written < 81 {
		used, n, err := u.WriteBatch(many)
		if err != nil && !errors.Is(err, ErrFull) || n == 0 {
			t.Fatal(used, n, err)
		}
		many = many[used:]
		written += n
		if got := pass(t, o); got != n {
			t.Fatalf("the program got %d of %d records", got, n)
		}
	}
}

func TestUserRingsThatCannotBeUsed(t *testing.T) {
	o, u := loadUser(t)
	m := getMap(t, o, "user")
	_, err := OpenUserRing(m)
	wantError(t, err, ErrBusy, "open user ring buffer user", "it has a writer")
	_, err = OpenUserRing(getMap(t, o, "ring"))
	wantError(t, err, ErrType, "RingBuf")
	wantError(t, u.Write(make([]byte, 5000)), ErrSize, "a record of 5000 bytes")
	if err := u.Write(make([]byte, 4088)); err != nil {
		t.Errorf("as large as the ring: %v", err)
	}
	err = u.Write(nil)
	wantError(t, err, ErrFull, "no room")
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("got %v, want EAGAIN in it", err)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, u.Write(nil), os.ErrClosed, "user")
	if err := u.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
	again, err := OpenUserRing(m)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, again.Write(nil), ErrFull) // what was written is still there
	again.Close()
}

// The writer's own page is shared, so that another process may have written to it.
func TestADamagedUserRingIsRefused(t *testing.T) {
	_, u := loadUser(t)
	u.pos += 1 << 30
	wantError(t, u.Write(nil), ErrSize, "does another process write to it?")
	_, _, err := u.WriteBatch(make([]byte, 16))
	wantError(t, err, ErrSize)
}

func TestUserRingsMayBeClosedWhileTheyAreWrittenTo(t *testing.T) {
	kerneltest.RequireRoot(t)
	_, u := loadUser(t)
	var wg sync.WaitGroup
	started := make(chan struct{}, 3)
	for range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if i == 10 {
					started <- struct{}{}
				}
				if err := u.Write(make([]byte, 8)); err != nil && !errors.Is(err, ErrFull) {
					if !errors.Is(err, os.ErrClosed) {
						t.Errorf("got %v", err)
					}
					return
				}
			}
		})
	}
	for range 3 {
		<-started
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// BenchmarkUserRing is the cost of a record of 64 bytes; what the program does to empty the ring does not count.
func BenchmarkUserRing(b *testing.B) {
	o, u := loadUser(b)
	rec := make([]byte, 64)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		b.StopTimer()
		pass(b, o)
		b.StartTimer()
		for range 56 {
			if err := u.Write(rec); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
}

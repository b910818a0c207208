package bpf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// shareName is a name that no other run of the tests has.
func shareName(t testing.TB) string { return fmt.Sprintf("%s %d", t.Name(), os.Getpid()) }

func counterMap(t testing.TB) *Map {
	return create(t, MapOptions{Name: "counter", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
}

func setCounter(t testing.TB, m *Map, n uint64) {
	t.Helper()
	if err := m.Update(make([]byte, 4), binary.NativeEndian.AppendUint64(nil, n), 0); err != nil {
		t.Fatal(err)
	}
}

func counter(t testing.TB, m *Map) uint64 {
	t.Helper()
	value := make([]byte, 8)
	if err := m.LookupInto(make([]byte, 4), value, 0); err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(value)
}

// TestShareInAnotherProcess is the other process of the tests below: it does what its environment says, tells it on its standard
// output, and waits for the end of its standard input.
func TestShareInAnotherProcess(t *testing.T) {
	name, do := os.Getenv("BOWLINE_TEST_SHARE"), os.Getenv("BOWLINE_TEST_SHARE_DO")
	if name == "" {
		t.Skip("run by other tests")
	}
	var err error
	switch do {
	case "share":
		m := counterMap(t)
		setCounter(t, m, 41)
		var s *Shared
		if s, err = ShareMap(name, m); err == nil {
			defer s.Close()
		}
	case "open":
		var m *Map
		if m, err = OpenSharedMap(name); err == nil {
			defer m.Close()
			setCounter(t, m, counter(t, m)+1)
		}
	}
	fmt.Printf("answer: %v\n", err)
	io.Copy(io.Discard, os.Stdin)
}

// other starts another process and returns what it said and what ends it, by closing its input or by killing it.
func other(t *testing.T, name, do string) (said string, end func(kill bool)) {
	t.Helper()
	c := exec.Command("/proc/self/exe", "-test.run=^TestShareInAnotherProcess$")
	c.Env = append(os.Environ(), "BOWLINE_TEST_SHARE="+name, "BOWLINE_TEST_SHARE_DO="+do)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var once sync.Once
	end = func(kill bool) {
		once.Do(func() {
			if kill {
				c.Process.Kill()
			}
			in.Close()
			rest, _ := io.ReadAll(lines)
			if err := c.Wait(); err != nil && !kill {
				t.Errorf("the other process: %v: %s", err, rest)
			}
		})
	}
	t.Cleanup(func() { end(true) })
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the other process said nothing: %v", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "answer: ")), end
}

// gone waits until nobody finds a share any more, nor the kernel the map.
func gone(t *testing.T, name string, id uint32) {
	t.Helper()
	if !waitFor(func() bool {
		m, err := OpenSharedMap(name)
		if err == nil {
			m.Close()
		}
		return errors.Is(err, ErrNotFound)
	}) {
		t.Errorf("share %q is still there", name)
	}
	if !waitFor(func() bool {
		m, err := ebpf.NewMapFromID(ebpf.MapID(id))
		if err == nil {
			m.Close()
		}
		return errors.Is(err, os.ErrNotExist)
	}) {
		t.Errorf("map %d is still there", id)
	}
}

func openShared(t *testing.T, name string) *Map {
	t.Helper()
	m, err := OpenSharedMap(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func mapID(t *testing.T, m *Map) uint32 {
	t.Helper()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func TestSharedMapsGoOnWhenTheirMakerIsKilled(t *testing.T) {
	kerneltest.RequireRoot(t)
	name := shareName(t)
	said, end := other(t, name, "share")
	if said != "<nil>" {
		t.Fatalf("the other process could not share: %s", said)
	}
	m := openShared(t, name)
	if got := counter(t, m); got != 41 {
		t.Errorf("got %d, want 41", got)
	}
	end(true)
	setCounter(t, m, 42)
	said, endThird := other(t, name, "open") // the share lives on in this process
	if got := counter(t, m); said != "<nil>" || got != 43 {
		t.Errorf("a third process: %s; got %d, want 43", said, got)
	}
	id := mapID(t, m)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	last := openShared(t, name) // and in the third one
	if mapID(t, last) != id {
		t.Error("it is another map")
	}
	if err := last.Close(); err != nil {
		t.Error(err)
	}
	endThird(true)
	gone(t, name, id)
}

func TestSharesEndWithTheLastOfThem(t *testing.T) {
	m := counterMap(t)
	name := shareName(t)
	s, err := ShareMap(name, m)
	if err != nil {
		t.Fatal(err)
	}
	id := mapID(t, m)
	_, err = ShareMap(name, m)
	wantError(t, err, os.ErrExist, "share map counter as", "it is taken")
	if err := m.Close(); err != nil { // the share keeps it
		t.Error(err)
	}
	opened := openShared(t, name)
	if opened.Name() != name || opened.Object() != nil || s.Name() != name {
		t.Errorf("got %s", opened)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if again := openShared(t, name); mapID(t, again) != id || again.Close() != nil {
		t.Error("it is not the map")
	}
	if err := errors.Join(opened.Close(), opened.Close()); err != nil {
		t.Error(err)
	}
	gone(t, name, id)
	_, err = OpenSharedMap(name)
	wantError(t, err, ErrNotFound, "no process shares a map under this name")
	_, err = ShareMap(name, m)
	wantError(t, err, os.ErrClosed)
}

func TestOneOfManyShares(t *testing.T) {
	kerneltest.RequireRoot(t)
	m := counterMap(t)
	for round := range 20 {
		name := fmt.Sprintf("%s %d", shareName(t), round)
		var mu sync.Mutex
		var won []*Shared
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				s, err := ShareMap(name, m)
				if err != nil {
					if !errors.Is(err, os.ErrExist) {
						t.Errorf("got %v", err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				won = append(won, s)
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Errorf("round %d: %d won", round, len(won))
		}
		for _, s := range won {
			s.Close()
		}
	}
}

func TestOneOfManyProcessesShares(t *testing.T) {
	kerneltest.RequireRoot(t)
	name := shareName(t)
	var mu sync.Mutex
	var won, lost int
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			said, _ := other(t, name, "share")
			mu.Lock()
			defer mu.Unlock()
			if said == "<nil>" {
				won++
			} else if strings.Contains(said, "it is taken") {
				lost++
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 3 {
		t.Errorf("%d won and %d lost, want 1 and 3", won, lost)
	}
}

func TestSharingNeedsTheRightToListMaps(t *testing.T) {
	m := counterMap(t)
	s, err := ShareMap(shareName(t), m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kerneltest.WithCapabilities(t, []kernel.Cap{kernel.CapBPF}, func() {
		_, err := OpenSharedMap(shareName(t))
		wantError(t, err, ErrPermission, "open shared map", "CAP_SYS_ADMIN")
		_, err = ShareMap(shareName(t)+"2", m)
		wantError(t, err, ErrPermission, "share map counter", "CAP_SYS_ADMIN")
	})
}

func TestNamesOfShares(t *testing.T) {
	m := counterMap(t)
	for _, name := range []string{"", strings.Repeat("x", 256)} {
		_, err := ShareMap(name, m)
		wantError(t, err, ErrSize, "not 1 to 255")
		_, err = OpenSharedMap(name)
		wantError(t, err, ErrSize, "not 1 to 255")
	}
	long := strings.Repeat("\x00/ä\n", 40)
	s, err := ShareMap(long, m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := openShared(t, long); mapID(t, got) != mapID(t, m) {
		t.Error("it is another map")
	}
}

func TestMapsOfEveryTypeAreShared(t *testing.T) {
	kerneltest.RequireRoot(t)
	for typ, o := range everyType(t) {
		t.Run(typ.String(), func(t *testing.T) {
			o.Type = typ
			m := create(t, o)
			name := shareName(t)
			s, err := ShareMap(name, m)
			if err != nil {
				t.Fatal(err)
			}
			if got := openShared(t, name); mapID(t, got) != mapID(t, m) || got.Type() != typ {
				t.Errorf("got %s", got)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Others may give programs the name of a marker, and may not have bound a map yet.
func TestOtherProgramsWithTheNameOfAMarker(t *testing.T) {
	m := counterMap(t)
	name := shareName(t)
	program := func(typ ebpf.ProgramType) {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Name: markerName(name), Type: typ, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
	}
	program(ebpf.XDP)
	s, err := ShareMap(name, m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	program(ebpf.SocketFilter)
	if got := openShared(t, name); mapID(t, got) != mapID(t, m) {
		t.Error("it is another map")
	}
}

func TestASharedRingHasOneReaderInAProcess(t *testing.T) {
	m := create(t, MapOptions{Name: "ring", Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize())})
	s, err := ShareMap(shareName(t), m)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	same := openShared(t, shareName(t))
	r, err := OpenRing(m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenRing(same)
	wantError(t, err, ErrBusy, "it has a reader")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	r, err = OpenRing(same)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, r.Counted(), ErrNotCounted)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A program with the name of a marker would give others a map of its own under the name of a share.
func TestProgramsOfPluginsAreNoMarkers(t *testing.T) {
	name := shareName(t)
	insns := code(t, asm.Mov.Imm(asm.R0, 0), asm.Return())
	for _, named := range []string{markerName(name), "$" + markerName(name), "bl$" + markerName(name)[3:]} {
		_, err := LoadProgram(ProgramOptions{Name: named, Type: ebpf.SocketFilter, License: "GPL", Insns: insns})
		wantError(t, err, ErrFormat, "names that begin with bl_")
		s := open(t, "maps")
		s.coll.Programs["first"].Name = named
		_, err = s.Load(LoadOptions{})
		wantError(t, err, ErrFormat, "names that begin with bl_")
	}
	p, err := LoadProgram(ProgramOptions{Name: "able_1", Type: ebpf.SocketFilter, License: "GPL", Insns: insns})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

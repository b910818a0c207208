package bpf

import (
	"errors"
	"math"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// create makes a map until the end of the test.
func create(t testing.TB, o MapOptions) *Map {
	t.Helper()
	kerneltest.RequireRoot(t)
	m, err := CreateMap(o)
	kerneltest.CoversMap(t, o.Type)
	kerneltest.SkipIfUnsupported(t, err)
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

// everyType has options for each type of map that can be made without an object.
func everyType(t testing.TB) map[ebpf.MapType]MapOptions {
	page := uint32(os.Getpagesize())
	inner := create(t, MapOptions{Name: "inner", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	of := func(key, value, entries uint32) MapOptions {
		return MapOptions{KeySize: key, ValueSize: value, MaxEntries: entries}
	}
	outer := of(4, 0, 8)
	outer.Inner = inner
	arena := of(0, 0, 4)
	arena.Flags = unix.BPF_F_MMAPABLE
	return map[ebpf.MapType]MapOptions{
		ebpf.Hash: of(4, 8, 8), ebpf.Array: of(4, 8, 8), ebpf.ProgramArray: of(4, 0, 8), ebpf.PerfEventArray: of(4, 0, 0),
		ebpf.PerCPUHash: of(4, 8, 8), ebpf.PerCPUArray: of(4, 8, 8), ebpf.StackTrace: of(4, 80, 8), ebpf.CGroupArray: of(4, 0, 8),
		ebpf.LRUHash: of(4, 8, 64), ebpf.LRUCPUHash: of(4, 8, 64), ebpf.LPMTrie: of(8, 8, 8), ebpf.ArrayOfMaps: outer, ebpf.HashOfMaps: outer,
		ebpf.DevMap: of(4, 8, 8), ebpf.SockMap: of(4, 8, 8), ebpf.CPUMap: of(4, 8, 0), ebpf.XSKMap: of(4, 4, 8), ebpf.SockHash: of(4, 8, 8),
		ebpf.CGroupStorage: of(8, 8, 0), ebpf.ReusePortSockArray: of(4, 8, 8), ebpf.PerCPUCGroupStorage: of(8, 8, 0),
		ebpf.Queue: of(0, 8, 8), ebpf.Stack: of(0, 8, 8), ebpf.SkStorage: of(4, 12, 0), ebpf.DevMapHash: of(4, 8, 8),
		ebpf.RingBuf: of(0, 0, page), ebpf.InodeStorage: of(4, 12, 0), ebpf.TaskStorage: of(4, 12, 0), ebpf.BloomFilter: of(0, 8, 8),
		ebpf.UserRingbuf: of(0, 0, page), ebpf.CgroupStorage: of(4, 12, 0), ebpf.Arena: arena,
	}
}

func TestMapsOfEveryTypeAreMadeWithoutAnObject(t *testing.T) {
	kerneltest.RequireRoot(t)
	all := everyType(t)
	for typ := ebpf.Hash; typ <= ebpf.Arena; typ++ {
		t.Run(typ.String(), func(t *testing.T) {
			o, ok := all[typ]
			if !ok {
				if typ != ebpf.StructOpsMap {
					t.Fatal("no test for this type")
				}
				_, err := CreateMap(MapOptions{Name: "ops", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 1})
				wantError(t, err, ErrType, "create map ops", "only with an object")
				return
			}
			o.Type = typ
			m := create(t, o)
			if m.Object() != nil || m.Type() != typ || m.Name() != typ.String() || m.FD() < 0 {
				t.Errorf("got %s, type %s, descriptor %d", m, m.Type(), m.FD())
			}
			info, err := m.Info()
			if err != nil || info.Type != typ || info.ID == 0 || info.Frozen || info.MaxEntries != m.MaxEntries() {
				t.Errorf("got %+v, %v", info, err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if err := m.Close(); err != nil {
				t.Errorf("second close: %v", err)
			}
			if _, err := m.Info(); !errors.Is(err, os.ErrClosed) || m.FD() != -1 {
				t.Errorf("after close: got %v, descriptor %d", err, m.FD())
			}
		})
	}
}

func TestMapsOfAnObjectAreNotClosedAlone(t *testing.T) {
	m := getMap(t, load(t, "maps", LoadOptions{}), "hash")
	wantError(t, m.Close(), ErrType, "close map hash", "belongs to an object")
	if m.FD() < 0 {
		t.Error("it was closed all the same")
	}
}

func TestMapsThatCannotBeMade(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, c := range map[string]struct {
		o    MapOptions
		want error
	}{
		"too many entries":  {MapOptions{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: math.MaxInt32 + 1}, unix.E2BIG},
		"over the limit":    {MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1 << 20, MapMemory: 1 << 20}, ErrMapMemory},
		"no example":        {MapOptions{Type: ebpf.HashOfMaps, KeySize: 4, MaxEntries: 1}, ErrType},
		"no type":           {MapOptions{KeySize: 4, ValueSize: 4, MaxEntries: 1}, nil},
		"unknown type":      {MapOptions{Type: 4000, KeySize: 4, ValueSize: 4, MaxEntries: 1}, nil},
		"type of elsewhere": {MapOptions{Type: ebpf.WindowsHash, KeySize: 4, ValueSize: 4, MaxEntries: 1}, nil},
		"no sizes":          {MapOptions{Type: ebpf.Hash}, unix.EINVAL},
		"odd ring":          {MapOptions{Type: ebpf.RingBuf, MaxEntries: 4097}, unix.EINVAL},
		"unknown flags":     {MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: 1 << 30}, unix.EINVAL},
		"huge value":        {MapOptions{Type: ebpf.TaskStorage, KeySize: 4, ValueSize: math.MaxUint32}, nil},
		"huge key":          {MapOptions{Type: ebpf.Hash, KeySize: math.MaxUint32, ValueSize: math.MaxUint32, MaxEntries: 1}, nil},
	} {
		m, err := CreateMap(c.o)
		if err == nil {
			m.Close()
			t.Errorf("%s: it was made", name)
		} else if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestMadeMapsAreCharged(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 100, MapMemory: 800})
	if m.Memory() != 800 {
		t.Errorf("got %d bytes, want 800", m.Memory())
	}
	_, err := CreateMap(MapOptions{Type: ebpf.TaskStorage, KeySize: 4, ValueSize: 32 << 10, MapMemory: 1 << 20})
	wantError(t, err, ErrMapMemory, "create map TaskStorage")
	o := load(t, "maps", LoadOptions{MapMemory: 1 << 30})
	var sum uint64
	for _, m := range o.Maps() {
		sum += m.Memory()
	}
	if sum == 0 || sum != o.MapMemory() {
		t.Errorf("the maps have %d bytes, the object %d", sum, o.MapMemory())
	}
}

// The kernel wants to see a map like those that a map of maps holds, so one is made, and may be as large as the object says.
func TestInnerMapsAreCharged(t *testing.T) {
	s := open(t, "maps")
	inner := s.coll.Maps["outer"].InnerMap
	inner.MaxEntries = 1 << 20          // of 8 bytes
	s.coll.Maps["outer"].Contents = nil // its own is smaller
	_, err := s.Load(LoadOptions{MapMemory: 4 << 20})
	wantError(t, err, ErrMapMemory, "create map outer", "8192 KiB")
	o := loadSpec(t, s, LoadOptions{MapMemory: 10 << 20})
	if got := o.MapMemory(); got > 4<<20 {
		t.Errorf("the object stays charged %d bytes, although the example is gone", got)
	}
	inner.MaxEntries = math.MaxInt32 + 1
	err = (&loader{spec: s}).charge("outer", s.coll.Maps["outer"]) // not Load: a kernel that were asked might not survive it
	wantError(t, err, unix.E2BIG, "outer (inner)")
}

func TestFrozenMapsAreReadOnly(t *testing.T) {
	m := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := m.Update(make([]byte, 4), make([]byte, 8), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("update: got %v", err)
	}
	if info, err := m.Info(); err != nil || !info.Frozen {
		t.Errorf("got %+v, %v", info, err)
	}
	wantError(t, m.Freeze(), ErrBusy, "freeze map Array", "frozen already")
	mapped := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE})
	mem, err := unix.Mmap(mapped.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	wantError(t, mapped.Freeze(), ErrBusy, "freeze map Array", "mapped to be written")
}

func TestInfoTellsMemoryAndValues(t *testing.T) {
	m := create(t, MapOptions{Name: "a.name-that is far too long", Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 5, MaxEntries: 1000})
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Values != cpus || info.ValueSize != 5 || info.KeySize != 4 || info.MaxEntries != 1000 || info.Memlock < 1000*5 || len(info.Name) > 15 {
		t.Errorf("got %+v", info)
	}
}

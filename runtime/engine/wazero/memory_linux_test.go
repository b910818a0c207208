package wazero

import (
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/bowline-edge/bowline/runtime/engine"
)

func TestMemoryNeverMoves(t *testing.T) {
	m := newMemory(64 * pageSize)
	m.Allocate(0, 1<<32)
	first := m.Reallocate(pageSize)
	base := unsafe.SliceData(first)
	first[0], first[pageSize-1] = 1, 2
	for n := 2; n <= 64; n++ {
		b := m.Reallocate(uint64(n) * pageSize)
		if len(b) != n*pageSize || unsafe.SliceData(b) != base {
			t.Fatalf("%d pages: %d bytes at %p, the base was %p", n, len(b), b, base)
		}
		if b[(n-1)*pageSize] != 0 || b[0] != 1 || b[pageSize-1] != 2 {
			t.Fatalf("%d pages: wrong contents", n)
		}
		b[n*pageSize-1] = 1
	}
	if m.Reallocate(65*pageSize) != nil {
		t.Error("it grows over its limit")
	}
	m.Free()
	if first[0] != 1 {
		t.Error("Free has taken the memory away from under its views")
	}
	for range 2 {
		if err := m.release(); err != nil {
			t.Error(err)
		}
	}
	if m.view != nil {
		t.Error("there is a view after release")
	}
}

func TestMemoryLimits(t *testing.T) {
	for _, c := range []struct {
		name                string
		limit, max, initial uint64
		refused             string
	}{
		{"default", 0, 1 << 32, pageSize, ""},
		{"no page at all", 0, 0, 0, ""},
		{"empty at first", 0, 1 << 32, 0, ""},
		{"over the limit", pageSize, 1 << 32, 2 * pageSize, "the limit is 65536"},
		{"limit below a page", 1000, 1 << 32, pageSize, "the limit is 1000"},
		{"beyond every limit", math.MaxUint64, 1 << 32, pageSize, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory(c.limit)
			defer func() {
				r := recover()
				e, ok := r.(memoryError)
				switch {
				case c.refused == "" && r != nil:
					t.Errorf("panics with %v", r)
				case c.refused != "" && (!ok || !strings.Contains(e.err.Error(), c.refused)):
					t.Errorf("got %v, want %q", r, c.refused)
				}
				if err := m.release(); err != nil {
					t.Error(err)
				}
			}()
			if b := m.Allocate(0, c.max).Reallocate(c.initial); b == nil || uint64(len(b)) != c.initial {
				t.Errorf("got %d bytes", len(b))
			}
		})
	}
}

// TestMemoryAtTheTop uses the last page below 4 GiB, where sizes do not fit an
// int32 any more.
func TestMemoryAtTheTop(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("a 32-bit host has no room for it")
	}
	in := instantiate(t, compileOn(t, openEngine(t, Options{}), guest(t, "memory_none")), engine.InstanceConfig{})
	stack := []uint64{65535}
	if err := in.Call(bg, "grow", fn(1, 1), stack); err != nil || stack[0] != 0 {
		t.Fatalf("grow: %d %v", int32(stack[0]), err)
	}
	mem := in.Memory()
	if uint64(len(mem)) != defaultLimit {
		t.Fatalf("%d bytes", len(mem))
	}
	last := len(mem) - 1
	mem[last] = 9
	stack[0] = uint64(last)
	if err := in.Call(bg, "load", fn(1, 1), stack); err != nil || stack[0] != 9 {
		t.Errorf("load: %d %v", stack[0], err)
	}
	stack[0] = 1
	if err := in.Call(bg, "grow", fn(1, 1), stack); err != nil || int32(stack[0]) != -1 {
		t.Errorf("grow over the limit: %d %v", int32(stack[0]), err)
	}
}

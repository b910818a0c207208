package hostfuncs

import (
	"math"
	"testing"
)

func TestHandlesRefuseWhatIsNotOpen(t *testing.T) {
	var h Handles[string]
	a, ok := h.Add("a")
	if !ok || a <= 0 {
		t.Fatalf("Add = %d, %v", a, ok)
	}
	for _, wrong := range []int32{0, -1, a + 1, a | 1<<16, math.MaxInt32, math.MinInt32} {
		if v, ok := h.Get(wrong); ok {
			t.Errorf("Get(%#x) = %q, want nothing", wrong, v)
		}
	}
	if v, ok := h.Remove(a); !ok || v != "a" {
		t.Fatalf("Remove = %q, %v", v, ok)
	}
	if _, ok := h.Remove(a); ok {
		t.Error("a second Remove of the same handle found it")
	}
	b, _ := h.Add("b")
	if a == b {
		t.Error("a new object got the number of a closed one")
	}
	if _, ok := h.Get(a); ok {
		t.Error("the stale handle reads the new object")
	}
	if !h.Known(a) || !h.Known(b) || h.Known(b+1) {
		t.Errorf("Known = %v %v %v, want true true false", h.Known(a), h.Known(b), h.Known(b+1))
	}
}

func TestHandlesFillAndRetire(t *testing.T) {
	var h Handles[int]
	for i := range MaxHandles {
		if _, ok := h.Add(i); !ok {
			t.Fatalf("table full after %d", i)
		}
	}
	if _, ok := h.Add(0); ok {
		t.Fatal("the full table took one more")
	}
	seen := map[int32]bool{}
	var one Handles[int]
	for range 1 << 16 {
		n, ok := one.Add(1)
		if !ok || n <= 0 || seen[n] {
			t.Fatalf("handle %d given twice or not positive", n)
		}
		seen[n] = true
		one.Remove(n)
	}
}

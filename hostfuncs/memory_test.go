package hostfuncs

import (
	"math"
	"testing"
)

func TestBytesStaysInside(t *testing.T) {
	mem := make([]byte, 100)
	for _, tc := range []struct {
		off, n uint32
		ok     bool
	}{
		{0, 0, true}, {0, 100, true}, {100, 0, true}, {99, 1, true},
		{0, 101, false}, {101, 0, false}, {100, 1, false},
		{math.MaxUint32, 1, false}, {1, math.MaxUint32, false}, {math.MaxUint32, math.MaxUint32, false},
	} {
		got, ok := Bytes(mem, tc.off, tc.n)
		if ok != tc.ok || ok && len(got) != int(tc.n) {
			t.Errorf("Bytes(%d, %d) = %d bytes, %v; want %v", tc.off, tc.n, len(got), ok, tc.ok)
		}
	}
	view, _ := Bytes(mem, 10, 5)
	if cap(view) != 5 {
		t.Errorf("an append to the view would write into guest memory: cap %d", cap(view))
	}
}

func TestCStringNeedsItsNUL(t *testing.T) {
	mem := []byte("abc\x00defgh")
	for _, tc := range []struct {
		off   uint32
		limit int
		want  string
		ok    bool
	}{
		{0, 10, "abc", true}, {0, 3, "abc", true}, {0, 2, "", false}, {3, 10, "", true},
		{4, 10, "", false}, {9, 10, "", false}, {math.MaxUint32, 10, "", false},
	} {
		got, ok := CString(mem, tc.off, tc.limit)
		if got != tc.want || ok != tc.ok {
			t.Errorf("CString(%d, %d) = %q, %v; want %q, %v", tc.off, tc.limit, got, ok, tc.want, tc.ok)
		}
	}
}

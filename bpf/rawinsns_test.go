package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// Whatever the bytes are: either they are refused, or they come out as they were, but for the numbers of maps, each of which was asked
// for; and no other place that the kernel could take for a descriptor is left.
func FuzzInstructions(f *testing.F) {
	f.Add(code(f, ret(0)...))
	f.Add(counting(f, true))
	f.Add(counting(f, false))
	f.Add(code(f, asm.LoadImm(asm.R1, -1, asm.DWord), asm.FnKtimeGetNs.Call(), asm.Return()))
	f.Add(bytes.Repeat([]byte{0x18, 0x11, 0, 0, 7, 0, 0, 0}, 4))
	f.Add(bytes.Repeat([]byte{0x85, 0x20, 1, 0, 7, 0, 0, 0}, 3))
	const descriptor = 0x7a7a7a7a
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		var asked []int32
		out, err := resolveInsns(in, func(h int32) (uint32, error) {
			asked = append(asked, h)
			if h < 0 {
				return 0, ErrNotFound
			}
			return descriptor, nil
		})
		if !bytes.Equal(in, before) {
			t.Fatal("the caller's bytes were changed")
		}
		if err != nil {
			if out != nil || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNotFound) {
				t.Fatalf("got %v, %v", out, err)
			}
			return
		}
		if len(out) != len(in) {
			t.Fatalf("got %d bytes of %d", len(out), len(in))
		}
		for at := 0; at < len(in); at += insnSize {
			a, b := in[at:at+insnSize], out[at:at+insnSize]
			isLoad := a[0] == opLoadImm64
			src := sourceRegister(a[1])
			if isLoad && (src == 1 || src == 2) {
				if len(asked) == 0 || int32(binary.NativeEndian.Uint32(a[4:])) != asked[0] || binary.NativeEndian.Uint32(b[4:]) != descriptor {
					t.Fatalf("map at %d: %x became %x; asked for %v", at, a, b, asked)
				}
				asked = asked[1:]
				if !bytes.Equal(a[:4], b[:4]) {
					t.Fatalf("at %d: %x became %x", at, a, b)
				}
			} else if !bytes.Equal(a, b) {
				t.Fatalf("at %d: %x became %x", at, a, b)
			}
			switch {
			case isLoad && src > 4, isLoad && src == 3 && binary.NativeEndian.Uint32(in[at+12:]) != 0,
				a[0] == opCallImm && src > 2, a[0] == opCallImm && src == 2 && (a[2] != 0 || a[3] != 0):
				t.Fatalf("at %d: %x was taken", at, a)
			}
			if isLoad {
				at += insnSize
			}
		}
		// Maps are asked for once each by the loader; here each place asks.
		if len(asked) != 0 {
			t.Fatalf("asked for %v, which is nowhere", asked)
		}
	})
}

func FuzzFieldPath(f *testing.F) {
	for _, s := range []string{"pid", "se.avg.load_avg", "comm[3]", "a[1][2].b", "[", "a[", "a]b", ".", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		steps, err := parseFieldPath(path)
		if err != nil {
			if !errors.Is(err, ErrTarget) {
				t.Errorf("got %v", err)
			}
			return
		}
		if len(steps) == 0 || len(steps) > maxFieldDepth || steps[0].isIndex {
			t.Errorf("%q: got %+v", path, steps)
		}
	})
}

package wasmbpf

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
)

func TestLoadAnswersZeroAndTheHostSaysWhy(t *testing.T) {
	elf := testdata(t, "puppet.bpf.o")
	big := bytes.Clone(elf)
	big[5] = 2                          // ELFDATA2MSB
	big[18], big[19] = big[19], big[18] // e_machine
	for name, tc := range map[string]struct {
		bytes []byte
		want  string
	}{
		"not an ELF":           {[]byte("hello, this is no ELF file"), "ELF"},
		"empty":                {nil, ""},
		"truncated":            {elf[:len(elf)/2], ""},
		"another endianness":   {big, "endian"},
		"two GiB of maps":      {testdata(t, "big.bpf.o"), "map memory limit"},
		"a map that crashes":   {testdata(t, "crash.bpf.o"), "more than the kernel can take"},
		"rejected by verifier": {testdata(t, "reject.bpf.o"), "invalid access to packet"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, p *puppet) {
				if got := p.call("load", p.put(tc.bytes), uint64(len(tc.bytes))); got != 0 {
					t.Fatalf("load = %d, want 0", got)
				}
				if len(p.reported) != 1 || !strings.Contains(p.reported[0], tc.want) || strings.Contains(p.reported[0], "\n") {
					t.Errorf("reported %q, want one line with %q", p.reported, tc.want)
				}
			})
		})
	}
}

func TestLoadStaysInsideMemory(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		size := uint64(len(p.in.Memory()))
		for _, tc := range [][2]uint64{{size, 1}, {size - 4, 8}, {math.MaxUint32, 1}, {16, math.MaxUint32}, {math.MaxUint32, math.MaxUint32}} {
			if got := p.call("load", tc[0], tc[1]); got != 0 {
				t.Errorf("load(%#x, %#x) = %d, want 0", tc[0], tc[1], got)
			}
		}
	})
}

func TestCloseTwiceIsNoError(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "hash")
		for i := range 2 {
			if got := p.call("close", obj); got != 0 {
				t.Errorf("close number %d = %d, want 0", i+1, got)
			}
		}
		if got := p.call("op", fd, cmdLookup, p.u32(1), p.u64(0), 0, 0); got != -int64(unix.EBADFD) {
			t.Errorf("lookup in a map of the closed object = %d, want -EBADFD", got)
		}
		if got := p.call("map", obj, p.str("hash")); got != -int64(unix.EINVAL) {
			t.Errorf("map of the closed object = %d, want -EINVAL", got)
		}
		if again := p.load("puppet.bpf.o"); again == obj {
			t.Error("a new object has the handle of the closed one")
		}
	})
}

func TestWrongObjectHandlesAreRefused(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd, name := p.mapOf(obj, "ring_a"), p.str("pass")
		for _, wrong := range []uint64{0, obj + 1, obj | 1<<32, obj | 1<<63, math.MaxUint64, 1 << 31} {
			for call, got := range map[string]int64{
				"close":  p.call("close", wrong),
				"attach": p.call("attach", wrong, name, 0),
				"map":    p.call("map", wrong, name),
				"poll":   p.poll(wrong, fd, onRecord),
			} {
				if got != -int64(unix.EINVAL) {
					t.Errorf("%s of object %#x = %d, want -EINVAL", call, wrong, got)
				}
			}
		}
	})
}

func TestEverythingIsClosedWhenTheGuestEnds(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		for range 3 {
			obj := p.load("puppet.bpf.o")
			if got := p.call("attach", obj, p.str("emit_perf"), 0); got != 0 {
				t.Fatalf("attach = %d: %v", got, p.reported)
			}
			p.poll(obj, p.mapOf(obj, "ring_a"), onRecord)
		}
		if err := p.state.Close(); err != nil {
			t.Error(err)
		}
		// kerneltest.Main fails on a descriptor that is left.
	})
}

func TestMapMemoryIsForAllObjectsOfAPlugin(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		before := p.state.s.Memory()
		p.load("puppet.bpf.o")
		used := before - p.state.s.Memory()
		if used < 8192 || used > 1<<20 {
			t.Errorf("the object was charged %d bytes; its ring buffers alone take 8192", used)
		}
		p = newPuppet(t, p.eng, "puppet", session.Options{MapMemory: 2*used - 1})
		obj := p.load("puppet.bpf.o")
		elf := testdata(t, "puppet.bpf.o")
		if got := p.call("load", p.put(elf), uint64(len(elf))); got != 0 {
			t.Errorf("a second object was loaded beyond the limit")
		}
		p.call("close", obj)
		p.load("puppet.bpf.o") // what was closed is free again
	})
}

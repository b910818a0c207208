package bpf

import (
	"testing"
	"weak"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"
)

// BenchmarkDrain reads full rings of 32-byte records (24 of payload) with an empty function, beside cilium/ebpf's reader.
// The time to fill the rings does not count.
func BenchmarkDrain(b *testing.B) {
	const records = 1 << 17 // 4 MiB
	s := open(b, "fill")
	if err := s.SetMaxEntries("ring", 32*records); err != nil {
		b.Fatal(err)
	}
	o := loadSpec(b, s, LoadOptions{})
	fill := func() {
		p := getProgram(b, o, "fill")
		if _, err := p.Kernel().Run(&ebpf.RunOptions{Context: struct{ N uint32 }{records - 1}}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("bowline", func(b *testing.B) {
		r := openRing(b, o, "ring")
		defer r.Close()
		b.ReportAllocs()
		n := 0
		for n < b.N {
			b.StopTimer()
			fill()
			b.StartTimer()
			k, err := r.Drain(0, func([]byte) error { return nil })
			if err != nil || k == 0 {
				b.Fatal(k, err)
			}
			n += k
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
	})
	b.Run("frames", func(b *testing.B) {
		r := openRing(b, o, "ring")
		defer r.Close()
		buf := make([]byte, 64<<10)
		b.ReportAllocs()
		n := 0
		for n < b.N {
			b.StopTimer()
			fill()
			b.StartTimer()
			for {
				_, k, err := r.ReadInto(buf, 0)
				if err != nil {
					b.Fatal(err)
				}
				if k == 0 {
					break
				}
				n += k
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
	})
	b.Run("cilium", func(b *testing.B) {
		r, err := ringbuf.NewReader(getMap(b, o, "ring").m)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		b.ReportAllocs()
		var rec ringbuf.Record
		n := 0
		for n < b.N {
			b.StopTimer()
			fill()
			b.StartTimer()
			for range records - 1 {
				if err := r.ReadInto(&rec); err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
	})
}

// BenchmarkProduce is what a record costs the program, with and without counting of losses.
func BenchmarkProduce(b *testing.B) {
	const records = 1 << 12
	for name, opts := range map[string]LoadOptions{"counting": {}, "plain": {NoLossCount: true}} {
		b.Run(name, func(b *testing.B) {
			s := open(b, "fill")
			if err := s.SetMaxEntries("ring", 32*records); err != nil {
				b.Fatal(err)
			}
			o := loadSpec(b, s, opts)
			r := openRing(b, o, "ring")
			p := getProgram(b, o, "fill")
			var n int
			for n < b.N {
				if _, err := p.Kernel().Run(&ebpf.RunOptions{Context: struct{ N uint32 }{records - 1}}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				k, err := r.Drain(0, func([]byte) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
				n += k
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
			r.Close()
		})
	}
}

// BenchmarkOpenLoadAttach is the way from bytes to a program that runs. The kernel's types are read anew each time, as in a new
// process.
func BenchmarkOpenLoadAttach(b *testing.B) {
	for _, name := range []string{"plain", "core"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				sharedTypes.mu.Lock()
				sharedTypes.cache = weak.Pointer[btf.Cache]{}
				sharedTypes.mu.Unlock()
				o, err := open(b, name).Load(LoadOptions{})
				if err != nil {
					b.Fatal(err)
				}
				for _, p := range o.Programs() {
					if _, err := o.Attach(p, Target{}); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				if err := o.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

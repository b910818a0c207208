package runtime

import (
	"testing"
	"time"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// quiet is an instance whose guest only ever yields.
type quiet struct {
	engine.Instance
	crossings uint64
}

func (q *quiet) Crossings() uint64 { return q.crossings }

// BenchmarkYield is what the limits of CPU time cost at every yield, of which there is one for some 25 to 230 us of guest code.
func BenchmarkYield(b *testing.B) {
	for name, cfg := range map[string]Config{
		"per call": {CPUPerCall: time.Hour}, "share": {CPUPerCall: time.Hour, CPUShare: 99},
	} {
		b.Run(name, func(b *testing.B) {
			m := newCPUMeter(b.Context(), &cfg)
			m.share = 0 // count, but do not sleep
			m.begin()
			q := &quiet{}
			b.ReportAllocs()
			for b.Loop() {
				q.crossings++
				if err := m.yield(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLook is reading the CPU clock, once in 1 to 10 ms.
func BenchmarkLook(b *testing.B) {
	m := newCPUMeter(b.Context(), &Config{})
	m.begin()
	b.ReportAllocs()
	for b.Loop() {
		m.look(0)
	}
}

package wasmbpf

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// At each limit the guest gets an error number, and the host's log says how to raise it.
func TestEachLimitEndsWithItsName(t *testing.T) {
	load := func(p *puppet) int64 {
		elf := testdata(t, "puppet.bpf.o")
		return p.call("load", p.put(elf), uint64(len(elf)))
	}
	for _, c := range []struct {
		limit string
		opts  session.Options
		do    func(p *puppet) int64
		want  int64
	}{
		{"programs", session.Options{Programs: 15}, func(p *puppet) int64 { p.load("puppet.bpf.o"); return load(p) }, 0},
		{"files", session.Options{Files: 50}, func(p *puppet) int64 { p.load("puppet.bpf.o"); return load(p) }, 0},
		{"map-memory", session.Options{MapMemory: 16 << 10}, func(p *puppet) int64 { p.load("puppet.bpf.o"); return load(p) }, 0},
		{"handles", session.Options{Handles: 3}, func(p *puppet) int64 {
			obj := p.load("puppet.bpf.o")
			p.mapOf(obj, "hash")
			p.mapOf(obj, "queue")
			return p.call("map", obj, p.str("percpu"))
		}, -int64(unix.EMFILE)},
		{"links", session.Options{Links: 2}, func(p *puppet) int64 {
			obj := p.load("puppet.bpf.o")
			for _, at := range []string{"sys_enter", "sys_exit"} {
				if got := p.call("attach", obj, p.str("emit_perf"), p.str(at)); got != 0 {
					p.t.Fatalf("attach = %d: %v", got, p.reported)
				}
			}
			return p.call("attach", obj, p.str("emit_perf"), p.str("sched_switch"))
		}, -int64(unix.ENOMEM)},
		{"rings", session.Options{Rings: 1}, func(p *puppet) int64 {
			obj := p.load("puppet.bpf.o")
			p.poll(obj, p.mapOf(obj, "ring_a"), onRecord)
			return p.poll(obj, p.mapOf(obj, "ring_b"), onRecord)
		}, -int64(unix.ENOMEM)},
		{"map-memory", session.Options{MapMemory: 256 << 10}, func(p *puppet) int64 { // the buffers of a perf array are a part of it
			obj := p.load("puppet.bpf.o")
			return p.poll(obj, p.mapOf(obj, "perf"), onRecord)
		}, -int64(unix.ENOMEM)},
	} {
		t.Run(c.limit, func(t *testing.T) {
			onEngines(t, func(t *testing.T, p *puppet) {
				p = newPuppet(t, p.eng, "puppet", c.opts)
				if got := c.do(p); got != c.want {
					t.Errorf("got %d, want %d", got, c.want)
				}
				for _, s := range []string{`raise "` + c.limit + `"`, "--limit " + c.limit + "="} {
					if text := strings.Join(p.reported, "\n"); !strings.Contains(text, s) {
						t.Errorf("%q does not say %q", text, s)
					}
				}
				if err := p.state.Close(); err != nil {
					t.Error(err)
				}
				budget := p.state.s.Budget()
				kerneltest.Eventually(t, "give all back", func() bool {
					for _, n := range budget.Used() {
						if n != 0 {
							return false
						}
					}
					return true
				})
			})
		})
	}
}

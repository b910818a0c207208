package conformance

import (
	"context"
	"strings"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var startScenarios = []scenario{
	{"start", playStart},
	{"imports", playImports},
}

func playStart(p *play) {
	var answer int32
	var fail error
	p.host("started", fn("i:i"), func(_ context.Context, in engine.Instance, s []uint64) error {
		p.logf("memory: %q", in.Memory()[:4])
		s[0] = uint64(uint32(answer))
		return fail
	})
	answer = 6
	if p.load("start", engine.InstanceConfig{}) {
		p.call("value")
	}
	answer = 13 // traps
	p.load("start", engine.InstanceConfig{})
	answer, fail = 0, errRefused
	p.load("start", engine.InstanceConfig{})
	fail = nil
	if p.load("start", engine.InstanceConfig{}) {
		p.call("value")
	}
	p.load("segment", engine.InstanceConfig{})
}

// playImports leaves imports open; the error has to name them.
func playImports(p *play) {
	one := engine.HostFunc{Module: "env", Name: "one", Type: fn("i:I"), Call: keep}
	two := engine.HostFunc{Module: "other", Name: "two", Type: fn(":"), Call: keep}
	wrong := engine.HostFunc{Module: "env", Name: "one", Type: fn("i:i"), Call: keep}
	spare := engine.HostFunc{Module: "env", Name: "spare", Type: fn("iiii:"), Call: keep}
	for _, c := range []struct {
		guest, names string
		funcs        []engine.HostFunc
	}{
		{"imports", "env.one", nil},
		{"imports", "other.two", []engine.HostFunc{one}},
		{"imports", "env.one", []engine.HostFunc{two}},
		{"imports", "env.one", []engine.HostFunc{wrong, two}},
		{"imports", "", []engine.HostFunc{spare, wrong, two, one}},
		{"import_memory", "env.memory", nil},
	} {
		m := p.compile(c.guest)
		in, err := m.Instantiate(p.t.Context(), engine.InstanceConfig{Funcs: c.funcs})
		switch {
		case (err == nil) != (c.names == ""):
			p.t.Errorf("%s with %d functions: %v", c.guest, len(c.funcs), err)
		case err == nil:
			p.logf("instantiate %s with %d functions", c.guest, len(c.funcs))
			p.in = in
			p.call("f")
			p.close()
		default:
			named := strings.Contains(err.Error(), c.names)
			p.logf("instantiate %s with %d functions -> %s, names %s: %v", c.guest, len(c.funcs), p.outcome(err), c.names, named)
		}
		if err := m.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

package conformance

import (
	"context"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var tableScenarios = []scenario{
	{"table", playTable},
	{"table_errors", playTableErrors},
	{"table_where", playTableWhere},
	{"table_grow", playTableGrow},
}

var callback = fn("iii:i")

// offerTable gives the guest a host function that calls a table element, as
// wasm-bpf's poll does, and one that fails.
func offerTable(p *play) {
	p.host("invoke", fn("ii:i"), func(ctx context.Context, in engine.Instance, s []uint64) error {
		args := []uint64{s[1], 100, 7}
		err := p.element(ctx, in, uint32(s[0]), callback, args)
		s[0] = args[0]
		return err
	})
	p.host("fail", fn("i:i"), func(context.Context, engine.Instance, []uint64) error { return errRefused })
}

func playTable(p *play) {
	offerTable(p)
	if !p.load("table", engine.InstanceConfig{}) {
		return
	}
	p.call("invoke", int32(1), int32(-1000))
	p.call("invoke", int32(2), int32(5))
	p.call("invoke", int32(6), int32(2)) // nests: element 6 has element 2 called
	p.call("invoke", int32(6), int32(6)) // and itself, once
	p.call("set", int32(2), int32(1))
	p.call("invoke", int32(2), int32(5))
	p.logf("from outside")
	f, err := p.in.TableFunc(1, callback)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range 3 {
		stack := []uint64{uint64(i), 1, 1}
		p.result(callback, stack, f.Call(p.t.Context(), stack))
	}
	p.logf("an imported function in the table")
	stack := []uint64{1}
	err = p.element(p.t.Context(), p.in, 7, fn("i:i"), stack)
	if err == nil {
		p.t.Error("it must fail")
	}
	p.call("alive")
}

func playTableErrors(p *play) {
	offerTable(p)
	if !p.load("table", engine.InstanceConfig{}) {
		return
	}
	for _, index := range []int32{0, 8, 1 << 20, -1, 3, 7} { // null, beyond, other types
		p.call("invoke", index, int32(0))
	}
	p.call("invoke", int32(4), int32(0)) // traps
	p.call("invoke", int32(5), int32(0)) // its host call fails
	p.call("invoke", int32(6), int32(4)) // traps two levels in
	p.call("invoke", int32(6), int32(5)) // fails two levels in
	p.call("clear", int32(1))
	p.call("invoke", int32(1), int32(0))
	p.call("invoke", int32(2), int32(1))
	p.call("alive")
}

func playTableWhere(p *play) {
	for _, guest := range []string{"table_hidden", "table_second", "empty"} {
		if !p.load(guest, engine.InstanceConfig{}) {
			continue
		}
		for _, index := range []uint32{0, 1, 2, 3} {
			_ = p.element(p.t.Context(), p.in, index, fn(":i"), make([]uint64, 1))
		}
	}
}

// playTableGrow asks for more than a host can give: 100 million elements are
// 800 MB that no memory limit covers.
func playTableGrow(p *play) {
	if !p.load("table_grow", engine.InstanceConfig{}) {
		return
	}
	for _, n := range []int32{1, 1000, 100_000_000, -1, 0} {
		p.call("grow", n)
	}
	p.call("size")
	_ = p.element(p.t.Context(), p.in, 0, fn(":i"), make([]uint64, 1))
	_ = p.element(p.t.Context(), p.in, 1001, fn(":i"), make([]uint64, 1))
	_ = p.element(p.t.Context(), p.in, 1002, fn(":i"), make([]uint64, 1))
}

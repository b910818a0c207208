package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// batchFills is how often a ring takes 1000 of the 64-byte records of bench/guests/batch.bpf.c.
const batchFills = 58

// rounds is how often a process measures each thing, of which the fastest counts: a round takes a millisecond or two, so that on a
// busy machine some are not interrupted.
const rounds = 15

// probe is one thing that a process is asked to measure.
type probe struct {
	figure *figure
	who    string // the row
	line   string // the question
	at     int    // which number of the answer is the time; the first one is how many there were
}

// batches measures what crosses between the kernel and a guest through wasi_ebpf: records in batches, beside the form with a
// callback for each and beside native programs; map operations; and the bare call.
func batches(c contenders, runs int) ([]figure, error) {
	const libbpf, cilium, called, direct = "native C, libbpf", "native Go, cilium/ebpf", "callback form", "native Go, bpf(2)"
	records := &figure{Name: "ring-buffer batches, per 64-byte record", Unit: "ns", Goal: "at most 25 ns and a quarter of the callback form",
		Of: []string{cilium, libbpf, called}}
	lookup := &figure{Name: "map lookup", Unit: "ns", Goal: "at most 1.3 times native", Of: []string{direct}}
	update := &figure{Name: "map update", Unit: "ns", Goal: "at most 1.3 times native", Of: []string{direct}}
	entries := &figure{Name: "map entries in batches of 256, each", Unit: "ns", Goal: "at most 1.3 times native", Of: []string{direct}}
	calls := &figure{Name: "call of a host function that does nothing", Unit: "ns"}

	maps := func(who string, more ...probe) []probe {
		return append([]probe{{lookup, who, "map", 1}, {update, who, "map", 2}}, more...) // the first one fills the map
	}
	processes := []struct {
		contender
		task
		probes []probe
	}{
		{c.bowline, batch, maps("wasi_ebpf",
			probe{records, "bpf_next, 16 KiB", "next 16384", 1}, probe{records, "bpf_next, 64 KiB", "next 65536", 1},
			probe{records, "bpf_next, 256 KiB", "next 262144", 1}, probe{records, "events_read, 64 KiB", "raw 65536", 1},
			probe{entries, "bpf_walk", "entries", 1}, probe{calls, "version", "call", 1})},
		{c.bowline, callback, maps("wasm_bpf", probe{records, called, "drain", 1})},
		{c.native, batch, maps(direct, probe{records, cilium, "drain", 1}, probe{entries, direct, "entries", 1})},
		{c.libbpf, batch, maps(libbpf, probe{records, libbpf, "drain", 1}, probe{entries, libbpf, "entries", 1})},
	}
	samples := map[*figure]map[string][]float64{records: {}, lookup: {}, update: {}, entries: {}, calls: {}}
	for range runs {
		for _, s := range processes {
			p, err := start(s.contender, s.task)
			if err != nil {
				return nil, err
			}
			for _, pr := range s.probes {
				v, err := p.probe(pr)
				if err != nil {
					return nil, errors.Join(fmt.Errorf("%s: %w", pr.who, err), p.stop())
				}
				samples[pr.figure][pr.who] = append(samples[pr.figure][pr.who], v)
			}
			if err := p.stop(); err != nil {
				return nil, err
			}
		}
	}
	var figures []figure
	for _, f := range []*figure{records, lookup, update, entries, calls} {
		for _, s := range processes {
			for _, pr := range s.probes {
				if pr.figure == f {
					f.Values = append(f.Values, medianOf(pr.who, samples[f][pr.who]))
				}
			}
		}
		figures = append(figures, *f)
	}
	return figures, nil
}

// probe answers what a process measured, in nanoseconds each. A first round warms it up.
func (p *process) probe(pr probe) (float64, error) {
	var values []float64
	drains := strings.HasPrefix(pr.line, "drain") || strings.Contains(pr.line, " ")
	for round := range rounds + 1 {
		if drains {
			for range batchFills {
				_, _, _ = unix.Syscall(askKernel, 0, 0, 0)
			}
		}
		n, err := p.ask(pr.line)
		if err != nil {
			return 0, err
		}
		if len(n) <= pr.at || n[0] == 0 || drains && n[0] != batchFills*1000 {
			return 0, fmt.Errorf("%s: answer %v", pr.line, n)
		}
		if round > 0 {
			values = append(values, n[pr.at]/n[0])
		}
	}
	return slices.Min(values), nil
}

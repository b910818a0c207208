// Command bench measures bowline beside a native Go program (bench/native) and a
// native C program (bench/libbpf) on the same BPF objects, run in turn, and prints
// medians and ratios.
//
//	bench [-runs N] [-only NAME] [-json] [-bowline bin/bowline] [-native bin/bench-native] [-libbpf bin/bench-libbpf] [-ancestor PATH]
//
// The ancestor is a wasm-bpf runtime, if there is one: it runs the same plugins.
// It needs root. The machine should be quiet; quote the ratios.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is one row of the result.
type figure struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	Goal   string   `json:"goal"`
	Of     []string `json:"of"` // the sides that the others are compared with
	Values []side   `json:"sides"`
}

// side is what one program needed: the median of all runs, and its range.
type side struct {
	Who    string  `json:"who"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// contender is a program under test. Its command is given what to run.
type contender struct {
	who  string
	path string
	args func(task) []string
}

// contenders are all of them.
type contenders struct {
	bowline, native, libbpf contender
	ancestor                contender // without a path if there is none
}

// general are those that do everything.
func (c contenders) general() []contender {
	all := []contender{c.bowline, c.native}
	if c.ancestor.path != "" {
		all = append(all, c.ancestor)
	}
	return all
}

func main() {
	runs := flag.Int("runs", 11, "runs of each measurement")
	only := flag.String("only", "", "measure one group: start, memory, callbacks, batches, checks or policy")
	asJSON := flag.Bool("json", false, "print JSON")
	bowline := flag.String("bowline", "bin/bowline", "the bowline binary")
	peer := flag.String("native", "bin/bench-native", "the native Go peer, built from bench/native")
	libbpf := flag.String("libbpf", "bin/bench-libbpf", "the native C peer, built from bench/libbpf")
	ancestor := flag.String("ancestor", "", "a wasm-bpf runtime to run beside us")
	flag.Parse()
	alone := func(t task) []string { return []string{t.mode, t.object} }
	figures, err := measure(contenders{
		bowline:  contender{"bowline", *bowline, func(t task) []string { return []string{"run", "--allow", "all", t.plugin} }},
		native:   contender{nativeGo, *peer, alone},
		libbpf:   contender{"native C", *libbpf, alone},
		ancestor: contender{"ancestor", *ancestor, func(t task) []string { return []string{t.plugin} }},
	}, *only, *runs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		_ = enc.Encode(figures)
		return
	}
	print(figures, *runs)
}

func print(figures []figure, runs int) {
	fmt.Printf("Medians of %d interleaved runs (range in brackets) on %d CPUs; load %s.\n\n", runs, runtime.NumCPU(), load())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		goal := ""
		if f.Goal != "" {
			goal = " (goal: " + f.Goal + ")"
		}
		fmt.Fprintf(w, "%s%s\n", f.Name, goal)
		for _, s := range f.Values {
			fmt.Fprintf(w, "  %s\t%.4g %s\t[%.4g to %.4g]\t%s\n", s.Who, s.Median, f.Unit, s.Min, s.Max, f.ratios(s))
		}
	}
	w.Flush()
}

// load is how many processes wanted a CPU in the last minutes: the more, the less the numbers mean.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); err == nil && len(f) > 2 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// ratios compares a side with those that the figure is measured against.
func (f figure) ratios(s side) string {
	var all []string
	for _, of := range f.Of {
		i := slices.IndexFunc(f.Values, func(v side) bool { return v.Who == of })
		if i >= 0 && of != s.Who {
			all = append(all, fmt.Sprintf("%.2f of %s", s.Median/f.Values[i].Median, of))
		}
	}
	return strings.Join(all, ", ")
}

// nativeGo is who most figures are compared with.
const nativeGo = "native Go"

// summarise turns the samples of each side into medians.
func summarise(name, unit, goal string, sides []contender, samples [][]float64) figure {
	f := figure{Name: name, Unit: unit, Goal: goal, Of: []string{nativeGo}}
	for i, s := range sides {
		f.Values = append(f.Values, medianOf(s.who, samples[i]))
	}
	return f
}

func medianOf(who string, samples []float64) side {
	v := slices.Sorted(slices.Values(samples))
	return side{Who: who, Median: v[len(v)/2], Min: v[0], Max: v[len(v)-1]}
}

// Command bench measures bowline beside a native Go program (bench/native) on
// the same BPF objects, run in turn, and prints medians and ratios.
//
//	bench [-runs N] [-json] [-bowline bin/bowline] [-native bin/bench-native] [-ancestor PATH]
//
// The ancestor is a wasm-bpf runtime, if there is one: it runs the same plugins.
// It needs root. The machine should be quiet; quote the ratios.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

// figure is one row of the result.
type figure struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Goal   string `json:"goal"`
	Values []side `json:"sides"`
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

// native is the place of the native program among the sides.
const native = 1

func main() {
	runs := flag.Int("runs", 11, "runs of each measurement")
	asJSON := flag.Bool("json", false, "print JSON")
	bowline := flag.String("bowline", "bin/bowline", "the bowline binary")
	peer := flag.String("native", "bin/bench-native", "the native peer, built from bench/native")
	ancestor := flag.String("ancestor", "", "a wasm-bpf runtime to run beside us")
	flag.Parse()
	sides := []contender{
		{"bowline", *bowline, func(t task) []string { return []string{"run", t.plugin} }},
		{"native Go", *peer, func(t task) []string { return []string{t.mode, t.object} }},
	}
	if *ancestor != "" {
		sides = append(sides, contender{"ancestor", *ancestor, func(t task) []string { return []string{t.plugin} }})
	}
	figures, err := measure(sides, *runs)
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
	fmt.Printf("Medians of %d interleaved runs (range in brackets).\n\n", runs)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		fmt.Fprintf(w, "%s\tgoal %s\t\t\n", f.Name, f.Goal)
		for _, s := range f.Values {
			fmt.Fprintf(w, "  %s\t%.4g %s\t[%.4g to %.4g]\t%.2f of native\n", s.Who, s.Median, f.Unit, s.Min, s.Max, s.Median/f.Values[native].Median)
		}
	}
	w.Flush()
}

// summarise turns the samples of each side into medians.
func summarise(name, unit, goal string, sides []contender, samples [][]float64) figure {
	f := figure{Name: name, Unit: unit, Goal: goal}
	for i, s := range sides {
		v := slices.Sorted(slices.Values(samples[i]))
		f.Values = append(f.Values, side{Who: s.who, Median: v[len(v)/2], Min: v[0], Max: v[len(v)-1]})
	}
	return f
}

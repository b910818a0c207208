package main

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

// printSummary writes what was skipped on each kernel and why, and a table.
func printSummary(w io.Writer, reports []*report) {
	for _, r := range reports {
		byReason := map[string][]string{}
		for _, p := range r.Tests {
			for _, t := range p.Tests {
				if t.Result == "skip" {
					byReason[t.Reason] = append(byReason[t.Reason], path.Base(p.Package)+"."+t.Name)
				}
			}
		}
		if len(byReason) == 0 {
			continue
		}
		fmt.Fprintf(w, "\nskipped on %s (%s):\n", r.Kernel, r.Release)
		for _, why := range sortedKeys(byReason) {
			fmt.Fprintf(w, "  %s\n      %s\n", cmp.Or(why, "no reason given"), strings.Join(byReason[why], ", "))
		}
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "kernel\trelease\tpackages\tpassed\tskipped\tfailed\tboots\tseconds\t")
	for _, r := range reports {
		var ok, passed, skipped, failed int
		for _, p := range r.Tests {
			a, b, c := p.count()
			passed, skipped, failed = passed+a, skipped+b, failed+c
			if p.Status == 0 {
				ok++
			}
		}
		verdict := ""
		if r.failed() {
			verdict = "FAIL " + firstLine(r.Error)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d of %d ok\t%d\t%d\t%d\t%d\t%.0f\t%s\n",
			r.Kernel, r.Release, ok, len(r.Tests), passed, skipped, failed, r.Boots, r.Seconds, verdict)
	}
	tw.Flush()
}

func firstLine(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

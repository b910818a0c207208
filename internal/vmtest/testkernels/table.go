package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// unreachable are the types that no kernel in reach has, with the reason.
var unreachable = map[string]string{
	"prog LircMode2": "Debian builds its kernels without CONFIG_BPF_LIRC_MODE2",
}

// types lists the kernel's program types or map types as cilium/ebpf knows them.
func types[T interface {
	~uint32
	String() string
}](first T) []string {
	var names []string
	for t := first; !strings.Contains(t.String(), "("); t++ {
		names = append(names, t.String())
	}
	return names
}

// table is a page of Markdown: for each type the tests that cover it, and on which kernel they passed.
func table(reports []*report) string {
	var b strings.Builder
	b.WriteString("# Kernels\n\nWritten by `make kernel-table`; do not edit. Each type of BPF program and map that cilium/ebpf 0.22 knows, the tests " +
		"that use it\non a real kernel, and the kernels on which they passed. Where a test was skipped, the kernel lacks the type.\n\n")
	b.WriteString("| kernel | release | tests passed | skipped | failed |\n|---|---|---|---|---|\n")
	for _, r := range reports {
		var passed, skipped, failed int
		for _, p := range r.Tests {
			a, s, f := p.count()
			passed, skipped, failed = passed+a, skipped+s, failed+f
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d |\n", r.Kernel, r.Release, passed, skipped, failed)
	}
	section(&b, reports, "program", "prog", types(ebpf.SocketFilter))
	section(&b, reports, "map", "map", types(ebpf.Hash))
	return b.String()
}

func section(b *strings.Builder, reports []*report, what, prefix string, names []string) {
	var notes []string
	fmt.Fprintf(b, "\n## Types of %ss\n\n| %s type | tests |", what, what)
	for _, r := range reports {
		fmt.Fprintf(b, " %s |", r.Kernel)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(reports)) + "\n")
	for _, name := range names {
		key := prefix + " " + name
		tests, cells := row(reports, key, &notes)
		if tests == "" {
			tests = "**no test**"
			if why := unreachable[key]; why != "" {
				tests = "on no kernel in reach: " + why
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, tests, strings.Join(cells, " | "))
	}
	for i, n := range notes {
		fmt.Fprintf(b, "\n%d. %s", i+1, n)
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
}

// row answers the tests of one type and what became of them on each kernel. A type is there if one of its tests passed.
func row(reports []*report, key string, notes *[]string) (string, []string) {
	var names, cells []string
	for _, r := range reports {
		cell, reason := "", ""
		for _, t := range r.covering(key) {
			if top := topOf(t.Name); t.Result == "pass" && !slices.Contains(names, top) {
				names = append(names, top)
			}
			switch {
			case t.Result == "pass":
				cell = "yes"
			case t.Result == "skip" && cell == "":
				cell, reason = "no", t.Reason
			}
		}
		if cell == "no" {
			cell = fmt.Sprintf("no (%d)", note(notes, reason))
		}
		cells = append(cells, cell)
	}
	return strings.Join(mostSpecific(reports, names), ", "), cells
}

func (r *report) covering(key string) (tests []*test) {
	for _, p := range r.Tests {
		for _, t := range p.Tests {
			if slices.Contains(t.Covers, key) {
				tests = append(tests, t)
			}
		}
	}
	return tests
}

func topOf(name string) string { top, _, _ := strings.Cut(name, "/"); return top }

// mostSpecific are the three tests that cover the fewest types.
func mostSpecific(reports []*report, names []string) []string {
	covers := map[string]map[string]bool{}
	for _, r := range reports {
		for _, p := range r.Tests {
			for _, t := range p.Tests {
				top := topOf(t.Name)
				if covers[top] == nil {
					covers[top] = map[string]bool{}
				}
				for _, c := range t.Covers {
					covers[top][c] = true
				}
			}
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return len(covers[a]) - len(covers[b]) })
	return names[:min(3, len(names))]
}

// note answers the number of a reason, from 1. The test's own program in it does not matter.
func note(notes *[]string, reason string) int {
	if _, rest, ok := strings.Cut(reason, ": program "); ok {
		if _, what, ok := strings.Cut(rest, ": "); ok {
			reason = what
		}
	}
	i := slices.Index(*notes, reason)
	if i < 0 {
		i = len(*notes)
		*notes = append(*notes, reason)
	}
	return i + 1
}

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/bowline-edge/bowline/node"
)

// writeInspection writes an inspection for people.
func writeInspection(w io.Writer, in *inspection, s style, columns int) {
	row := func(name, text string) { fmt.Fprintf(w, "%-11s%s\n", name, text) }
	facts := []string{in.Kind, in.Role, size(uint64(in.Size))}
	if in.Language != "" {
		facts = append(facts, in.Language)
	}
	fmt.Fprintf(w, "%s\n", s.bold(node.Printable(in.File)))
	row("module", strings.Join(facts, ", "))
	row("sha256", in.SHA256)
	if in.Name != "" {
		row("name", node.Printable(in.Name))
	}
	for _, p := range in.Producers {
		row(p.Field, node.Printable(strings.TrimSpace(p.Name+" "+p.Version)))
	}
	row("functions", fmt.Sprint(in.Functions))
	for _, m := range in.Memories {
		row("memory", limitsText(m, plural(m.Initial, "page")+" of 64 KiB"))
	}
	for _, t := range in.Tables {
		row("table", limitsText(t, t.Type))
	}
	var sections []string
	for _, c := range in.Sections {
		sections = append(sections, fmt.Sprintf("%s (%s)", node.Printable(c.Name), size(uint64(c.Size))))
	}
	if len(sections) > 0 {
		row("sections", strings.TrimLeft(wrap(strings.Join(sections, ", "), strings.Repeat(" ", 11), columns), " "))
	}
	writeManifest(w, in, s, columns)
	writeImports(w, in, s)
	if len(in.Exports) > 0 {
		fmt.Fprintf(w, "\n%s\n", s.bold("exports"))
	}
	for _, e := range in.Exports {
		line := fmt.Sprintf("  %-9s%s", e.Kind, node.Printable(e.Name))
		if e.Type != "" {
			line += " " + s.dim(e.Type)
		}
		fmt.Fprintln(w, line)
	}
	if len(in.Objects) == 0 {
		fmt.Fprintf(w, "\nno BPF object inside\n")
	}
	for _, o := range in.Objects {
		writeObject(w, o, s, columns)
	}
	if len(in.Warnings)+len(in.Notes) > 0 { // last, where they are seen
		fmt.Fprintln(w)
	}
	writeDifferences(w, in.Warnings, in.Notes, s)
}

func writeImports(w io.Writer, in *inspection, s style) {
	if len(in.Imports) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", s.bold("imports"))
	for _, i := range in.Imports {
		mark := fmt.Sprintf("%-10s", i.Interface)
		if i.Interface == "unknown" {
			mark = s.red(mark)
		}
		what := i.Type
		if what == "" {
			what = i.Kind
		}
		fmt.Fprintf(w, "  %s%s.%s %s\n", mark, node.Printable(i.Module), node.Printable(i.Name), s.dim(what))
	}
}

func limitsText(l limits, unit string) string {
	text := fmt.Sprintf("%d %s", l.Initial, unit)
	if l.Max != nil {
		text += fmt.Sprintf(", at most %d", *l.Max)
	} else {
		text += ", no maximum"
	}
	if l.Shared {
		text += ", shared"
	}
	if l.Imported {
		text += ", imported"
	}
	return text
}

// plural is the name of n things.
func plural(n uint32, name string) string {
	if n == 1 {
		return name
	}
	return name + "s"
}

func writeObject(w io.Writer, o objectReport, s style, columns int) {
	fmt.Fprintf(w, "\n%s in %s at 0x%x, %s\n", s.bold("BPF object"), node.Printable(o.Where), o.Offset, size(uint64(o.Size)))
	if o.Error != "" {
		fmt.Fprintf(w, "  %s %s\n", s.red("unusable:"), node.Printable(o.Error))
		return
	}
	facts := []string{}
	if o.License != "" {
		facts = append(facts, "licence "+node.Printable(o.License))
	}
	var needs []string
	if o.NeedsBTF {
		needs = append(needs, "kernel BTF")
	}
	if o.OldestKernel != "" {
		needs = append(needs, fmt.Sprintf("Linux %s or newer to load (%s)", o.OldestKernel, o.Because))
	}
	if len(needs) > 0 {
		facts = append(facts, "needs "+strings.Join(needs, " and "))
	}
	if len(facts) > 0 {
		fmt.Fprintf(w, "  %s\n", strings.Join(facts, ", "))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  PROGRAM\tSECTION\tTYPE\tHOOK\tATTACH TO\tINSTRUCTIONS")
	for _, p := range o.Programs {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%d\n", node.Printable(p.Name), node.Printable(p.Section), p.Type, dash(p.Hook), dash(node.Printable(p.AttachTo)), p.Insns)
	}
	t.Flush()
	for _, p := range o.Programs {
		writeCalls(w, p.Name+" calls", append(append([]string{}, p.Helpers...), p.Kfuncs...), s, columns)
	}
	if len(o.Maps) == 0 {
		return
	}
	fmt.Fprintln(t, "  MAP\tTYPE\tKEY\tVALUE\tENTRIES\tFLAGS")
	for _, m := range o.Maps {
		fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t%d\t%s\n", node.Printable(m.Name), m.Type, m.KeySize, m.ValueSize, m.MaxEntries, dash(strings.Join(m.Flags, ",")))
	}
	t.Flush()
}

func writeCalls(w io.Writer, what string, names []string, s style, columns int) {
	if len(names) == 0 {
		return
	}
	for i, n := range names {
		names[i] = node.Printable(n)
	}
	text := wrap(node.Printable(what)+" "+strings.Join(names, ", "), "    ", columns)
	fmt.Fprintln(w, s.dim(text))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// manifestReport is what a plugin says about itself, beside what is in it.
type manifestReport struct {
	// Error says what is wrong with the section; then the rest is empty.
	Error       string            `json:"error,omitempty"`
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Description string            `json:"description"`
	Needs       []needReport      `json:"needs"`
	Params      []paramReport     `json:"params"`
	Columns     []columnReport    `json:"columns"`
	Limits      map[string]string `json:"limits"`

	limits [][2]string
}

type needReport struct {
	Grant string `json:"grant"`
	Why   string `json:"why"`
	// Needed is "yes" if something in the contents needs it, "no" if nothing does, and "perhaps" if only a run can tell.
	Needed string `json:"needed"`
	// Danger says why the grant is to be weighed more than others.
	Danger string `json:"danger,omitempty"`
}

type paramReport struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Default *string `json:"default"` // null: the parameter has to be given
	Help    string  `json:"help"`
}

type columnReport struct {
	Name   string `json:"name"`
	Width  int    `json:"width,omitempty"`
	Unit   string `json:"unit,omitempty"`
	Hidden bool   `json:"hidden,omitempty"`
	Format string `json:"format,omitempty"`
}

// grantReport is a grant that the contents of a module need.
type grantReport struct {
	Grant string `json:"grant"`
	// Asked says that the manifest asks for it, in this line or a wider one; always false without a manifest.
	Asked  bool   `json:"asked"`
	Danger string `json:"danger,omitempty"`
}

// inspectManifest reads the manifest of a module and compares it with the contents.
func inspectManifest(in *inspection, f *wasmfile.File) {
	contents := lookInto(f)
	if contents.Unseen {
		in.Notes = append(in.Notes, "the plugin can load BPF programs that are not to be seen here")
	}
	for _, g := range contents.Needs() {
		in.Needs = append(in.Needs, grantReport{Grant: g.String(), Danger: g.Danger()})
	}
	m, err := node.ManifestOf(f)
	switch {
	case err != nil:
		in.Manifest = &manifestReport{
			Error: node.Printable(err.Error()), Needs: []needReport{}, Params: []paramReport{}, Columns: []columnReport{}, Limits: map[string]string{},
		}
		in.Warnings = append(in.Warnings, "the manifest cannot be read, so the plugin does not run: "+node.Printable(err.Error()))
		return
	case m == nil:
		return
	}
	both := m.Compare(contents)
	in.Manifest = reportManifest(m, both)
	missing := map[string]bool{}
	for _, g := range both.Missing {
		missing[g.String()] = true
	}
	for i := range in.Needs {
		in.Needs[i].Asked = !missing[in.Needs[i].Grant]
		delete(missing, in.Needs[i].Grant)
	}
	for _, g := range both.Missing {
		if missing[g.String()] { // without what the manifest asks for the smallest list is another one
			in.Needs = append(in.Needs, grantReport{Grant: g.String(), Danger: g.Danger()})
		}
	}
	warnings, notes := differences(m, f, both)
	in.Warnings, in.Notes = append(in.Warnings, warnings...), append(in.Notes, notes...)
}

// differences says in words where a manifest and the contents do not agree.
func differences(m *policy.Manifest, f *wasmfile.File, both policy.Comparison) (warnings, notes []string) {
	for _, g := range both.Missing {
		warnings = append(warnings, fmt.Sprintf("contents need %s, which the manifest does not ask for", g))
	}
	for i, n := range m.Needs {
		switch both.Needs[i] {
		case policy.NotNeeded:
			warnings = append(warnings, fmt.Sprintf("the manifest asks for %s, which nothing in the contents needs", n.Grant))
		case policy.MayBeNeeded:
			notes = append(notes, fmt.Sprintf("whether %s is needed only a run can tell", n.Grant))
		}
	}
	if memory, ok := f.Memory0(); ok && m.Limits.Memory > 0 && uint64(memory.Limits.Min)<<16 > uint64(m.Limits.Memory) {
		warnings = append(warnings, fmt.Sprintf("the module starts with %s of memory, and the manifest limits it to %s: it cannot start",
			size(uint64(memory.Limits.Min)<<16), size(uint64(m.Limits.Memory))))
	}
	return warnings, notes
}

func reportManifest(m *policy.Manifest, both policy.Comparison) *manifestReport {
	r := &manifestReport{
		Name: m.Name, Version: m.Version, Description: m.Description, Needs: []needReport{}, Params: []paramReport{}, Columns: []columnReport{},
		Limits: map[string]string{}, limits: m.Limits.Text(),
	}
	for i, n := range m.Needs {
		r.Needs = append(r.Needs, needReport{Grant: n.Grant.String(), Why: n.Why, Needed: both.Needs[i].String(), Danger: n.Grant.Danger()})
	}
	for _, p := range m.Params {
		report := paramReport{Name: p.Name, Type: p.Type, Help: p.Help}
		if p.HasDefault {
			report.Default = &p.Default
		}
		r.Params = append(r.Params, report)
	}
	for _, c := range m.Columns {
		r.Columns = append(r.Columns, columnReport{Name: c.Name, Width: c.Width, Unit: c.Unit, Hidden: c.Hidden, Format: c.Format})
	}
	for _, l := range r.limits {
		r.Limits[l[0]] = l[1]
	}
	return r
}

// writeManifest writes the manifest beside what the contents need. Texts of a manifest were checked when it was read, and are safe to print.
func writeManifest(w io.Writer, in *inspection, s style, columns int) {
	m := in.Manifest
	switch {
	case m == nil && len(in.Needs) == 0:
		fmt.Fprintf(w, "\nno manifest, and nothing inside that needs a grant\n")
		return
	case m == nil:
		fmt.Fprintf(w, "\nno manifest; %s\n", s.bold("needs by its contents"))
	case m.Error != "":
		fmt.Fprintf(w, "\n%s\n  %s %s\n", s.bold("manifest"), s.red("unusable:"), m.Error)
	default:
		title := s.bold("manifest")
		if name := strings.TrimSpace(m.Name + " " + m.Version); name != "" {
			title += " of " + name
		}
		fmt.Fprintf(w, "\n%s\n", title)
		if m.Description != "" {
			fmt.Fprintln(w, wrap(m.Description, "  ", columns))
		}
	}
	writeNeeds(w, in, s)
	if m == nil {
		return
	}
	writeParams(w, m)
	if len(m.limits) > 0 {
		var set []string
		for _, l := range m.limits {
			set = append(set, l[0]+" "+l[1])
		}
		fmt.Fprintf(w, "  limits: %s\n", strings.Join(set, ", "))
	}
}

// writeNeeds writes a table of grants: who needs each, and why.
func writeNeeds(w io.Writer, in *inspection, s style) {
	type row struct{ grant, needed, text, danger string }
	var rows []row
	asked := in.Manifest != nil && in.Manifest.Error == ""
	if asked {
		rows = append(rows, row{"GRANT", "NEEDED", "WHY", ""})
		for _, n := range in.Manifest.Needs {
			rows = append(rows, row{n.Grant, n.Needed, n.Why, n.Danger})
		}
	} else {
		rows = append(rows, row{"GRANT", "NEEDED", "ALLOWS TO", ""})
	}
	for _, n := range in.Needs {
		switch g, err := policy.ParseGrant(n.Grant); {
		case err != nil || asked && n.Asked:
		case asked:
			rows = append(rows, row{n.Grant, "yes", s.red("not asked for"), n.Danger})
		case n.Danger != "":
			rows = append(rows, row{n.Grant, "yes", "call this helper", n.Danger})
		default:
			rows = append(rows, row{n.Grant, "yes", g.Doc(), ""})
		}
	}
	if len(rows) == 1 {
		if asked {
			fmt.Fprintln(w, "  asks for nothing, and nothing inside needs a grant")
		}
		return
	}
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(r.grant))
	}
	for _, r := range rows {
		fmt.Fprintf(w, "  %-*s  %-7s  %s\n", longest, r.grant, r.needed, r.text)
		if r.danger != "" {
			fmt.Fprintf(w, "  %-*s           %s\n", longest, "", s.yellow("! "+r.danger))
		}
	}
}

func writeParams(w io.Writer, m *manifestReport) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(m.Params) > 0 {
		fmt.Fprintln(t, "  PARAMETER\tTYPE\tDEFAULT\tHELP")
	}
	for _, p := range m.Params {
		value := "(must be given)"
		if p.Default != nil {
			value = dash(*p.Default)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.Name, p.Type, value, dash(p.Help))
	}
	t.Flush()
	if len(m.Columns) > 0 {
		fmt.Fprintln(t, "  COLUMN\tFORMAT\tUNIT\tWIDTH\tHIDDEN")
	}
	for _, c := range m.Columns {
		width, hidden := "-", "-"
		if c.Width > 0 {
			width = fmt.Sprint(c.Width)
		}
		if c.Hidden {
			hidden = "yes"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", c.Name, dash(c.Format), dash(c.Unit), width, hidden)
	}
	t.Flush()
}

// writeDifferences writes warnings and notes.
func writeDifferences(w io.Writer, warnings, notes []string, s style) {
	for _, text := range warnings {
		fmt.Fprintf(w, "%s %s\n", s.red("warning:"), text)
	}
	for _, text := range notes {
		fmt.Fprintf(w, "%s %s\n", s.dim("note:"), text)
	}
}

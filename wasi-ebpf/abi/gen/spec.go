package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// A page of the specification is prose with blocks that are made from the contract, between the lines
//
//	<!-- begin NAME -->
//	<!-- end NAME -->
//
// Every block of a page must be there, once.

const specDir = "wasi-ebpf/spec/"

// pages lists the pages of the specification, README first.
func pages() []string { return append([]string{"README"}, abi.Families...) }

// blocksOf are the blocks of a page by name.
func blocksOf(page string) map[string]func() string {
	blocks := map[string]func() string{}
	switch page {
	case "README":
		blocks["functions"] = functionIndex
		blocks["errnos"] = errnoTable
		blocks["common errors"] = func() string { return errorTable(abi.Common()) }
	case "events":
		blocks["example"] = batchExample
	case "link":
		blocks["hooks"] = hookTable
	case "kernel":
		blocks["names"] = nameTable
	}
	for _, f := range abi.Functions() {
		if f.Family == page {
			blocks["function "+f.Name] = func() string { return functionBlock(f) }
		}
	}
	for _, s := range abi.Structs() {
		if specHome(structHomes, s.Name) == page {
			blocks["structure "+s.Name] = func() string { return structBlock(s) }
		}
	}
	for _, e := range abi.Enums() {
		if specHome(numberHomes, e.Name) == page {
			blocks["numbers "+e.Name] = func() string { return numberTable(e) }
		}
	}
	return blocks
}

// Where structures and sets of numbers are described.
var (
	structHomes = map[string]string{
		"span": "README", "item": "object", "map_options": "map", "map_info": "map", "program_options": "program", "program_info": "program",
		"test_run": "program", "target": "link", "link_info": "link", "events_options": "events", "frame": "events", "batch": "events",
		"source_stats": "events", "kernel_info": "kernel", "type_info": "kernel", "interface": "kernel",
	}
	numberHomes = map[string]string{
		"kind": "handle", "map_field": "object", "item": "object", "item_flag": "object", "load": "object", "update": "map", "map_state": "map",
		"xdp": "link", "direction": "link", "place": "link", "family": "link", "chain": "link", "frame": "events", "batch": "events",
		"events": "events", "probe": "kernel", "clock": "kernel", "run": "program", "kernel_flag": "kernel",
	}
)

// specHome is the page of something; what has none is wanted on the README, where its block is then missing.
func specHome(homes map[string]string, name string) string {
	if page, ok := homes[name]; ok {
		return page
	}
	return "README"
}

var (
	marker = regexp.MustCompile(`(?m)^<!-- (begin|end) (.+) -->$`)
	region = regexp.MustCompile(`(?ms)^<!-- begin (.+?) -->\n(.*?)^<!-- end (.+?) -->$`)
)

// fill puts the blocks of a page between their markers.
func fill(page, old string) (string, error) {
	blocks := blocksOf(page)
	var bad []string
	seen := map[string]bool{}
	text := region.ReplaceAllStringFunc(old, func(m string) string {
		part := region.FindStringSubmatch(m)
		name := part[1]
		block, ok := blocks[name]
		switch {
		case !ok:
			bad = append(bad, fmt.Sprintf("no block %q belongs on page %s", name, page))
		case part[3] != name:
			bad = append(bad, fmt.Sprintf("block %q ends as %q", name, part[3]))
		case seen[name]:
			bad = append(bad, fmt.Sprintf("block %q is there twice", name))
		default:
			seen[name] = true
			return "<!-- begin " + name + " -->\n" + block() + "<!-- end " + name + " -->"
		}
		return m
	})
	for name := range blocks {
		if !seen[name] {
			bad = append(bad, fmt.Sprintf("block %q is missing on page %s", name, page))
		}
	}
	if n := len(marker.FindAllString(old, -1)); n != 2*len(seen) && len(bad) == 0 {
		bad = append(bad, "a marker has no other half")
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		return "", fmt.Errorf("%s", strings.Join(bad, "; "))
	}
	return text, nil
}

// functionIndex lists the families with their functions.
func functionIndex() string {
	var b strings.Builder
	b.WriteString("| page | functions |\n|---|---|\n")
	for _, family := range abi.Families {
		var names []string
		for _, f := range abi.Functions() {
			if f.Family == family {
				names = append(names, fmt.Sprintf("[`%s`](%s.md#%s)", f.Name, family, f.Name))
			}
		}
		fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", family, family, strings.Join(names, ", "))
	}
	return b.String()
}

func errnoTable() string {
	var b strings.Builder
	b.WriteString("| number | name | WASI | meaning |\n|---:|---|---|---|\n")
	for _, e := range abi.Errnos() {
		fmt.Fprintf(&b, "| %d | `%s` | `%s` | %s |\n", e.Errno, e.Name, e.WASI, cell(e.Doc))
	}
	return b.String()
}

func errorTable(cases []abi.Case) string {
	var b strings.Builder
	b.WriteString("| error | when |\n|---|---|\n")
	for _, c := range cases {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Errno, cell(c.When))
	}
	return b.String()
}

// cell is text for a cell of a table: stars and bars of the text are no marks.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(namedSets(text, func(set string) string { return "[`" + set + "`](" + setLink(set) + ")" }))
}

// setLink leads to the table of a set of numbers.
func setLink(set string) string {
	return specHome(numberHomes, set) + ".md#numbers-" + set
}

var kindNames = map[abi.Kind]string{
	abi.U32: "u32", abi.I32: "s32", abi.U64: "u64", abi.I64: "s64", abi.Handle: "handle", abi.Text: "text", abi.Bytes: "bytes",
	abi.Buffer: "buffer", abi.InOut: "in-out bytes", abi.Struct: "structure", abi.OutStruct: "out structure", abi.IOStruct: "in-out structure",
	abi.OutU32: "out u32", abi.OutU64: "out u64", abi.OutHandle: "out handle",
}

// functionBlock describes one function.
func functionBlock(f abi.Func) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", f.Name)
	var sig []string
	for _, v := range values(f) {
		sig = append(sig, v.name+": "+string(v.typ))
	}
	b.WriteString("```\n" + wrap(f.Name+"(", strings.Repeat(" ", len(f.Name)+1), strings.Join(sig, ", ")+") -> errno: i32", 110) + "```\n\n")
	b.WriteString(wrap("", "", strings.ReplaceAll(f.Doc, "*", `\*`), 128))
	if f.Blocks != "" {
		b.WriteString("\n" + wrap("", "", "**Waits:** "+f.Blocks, 128))
	}
	if f.Kernel != "" {
		b.WriteString("\n**Kernel:** Linux " + f.Kernel + ".\n")
	}
	if len(f.Params) > 0 {
		b.WriteString("\n| parameter | kind | meaning |\n|---|---|---|\n")
	}
	for _, p := range f.Params {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, kindOf(p), cell(p.Doc))
	}
	if len(f.Errnos) > 0 {
		b.WriteString("\n" + errorTable(f.Errnos))
	}
	return b.String()
}

// kindOf names the kind of a parameter, with what it is of.
func kindOf(p abi.Param) string {
	kind := kindNames[p.Kind]
	switch p.Kind {
	case abi.Handle, abi.OutHandle:
		kind += " of " + p.Of
	case abi.Struct, abi.OutStruct, abi.IOStruct:
		kind += fmt.Sprintf(" [`%s`](%s.md#structure-%s)", p.Of, specHome(structHomes, p.Of), p.Of)
	}
	if p.Optional {
		kind += ", optional"
	}
	return kind
}

func numberTable(e abi.Enum) string {
	var b strings.Builder
	kind := "One of these."
	if e.Flags {
		kind = "Flags, which are added."
	}
	fmt.Fprintf(&b, "### Numbers: %s\n\n%s %s\n\n| number | name | meaning |\n|---:|---|---|\n", e.Name, e.Doc, kind)
	for _, n := range e.Numbers {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", n.Value, n.Name, cell(n.Doc))
	}
	return b.String()
}

func hookTable() string {
	var b strings.Builder
	b.WriteString("| hook | section names | fields of the target | attach | update | detach | pin | notes |\n|---|---|---|---|---|---|---|---|\n")
	for _, h := range abi.Hooks() {
		var fields []string
		for _, f := range h.Fields {
			name, needed := strings.CutSuffix(f, "!")
			if needed {
				fields = append(fields, "**`"+name+"`**")
			} else {
				fields = append(fields, "`"+name+"`")
			}
		}
		attach := h.Kernel
		if strings.HasPrefix(h.Doc, "Cannot be attached") {
			attach = "-"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", h.Name, codeList(h.Sections), orDash(strings.Join(fields, ", ")), attach,
			orDash(h.Update), orDash(h.Detach), orDash(h.Pin), cell(h.Doc))
	}
	return b.String()
}

// nameTable lists names whose place is a number.
func nameTable() string {
	var b strings.Builder
	b.WriteString("### Names of types\n\n| number | program type | map type | BTF kind |\n|---:|---|---|---|\n")
	lists := [][]string{abi.ProgramTypes(), abi.MapTypes(), abi.BTFKinds()}
	for n := 0; ; n++ {
		row, empty := fmt.Sprintf("| %d |", n), true
		for _, list := range lists {
			name := ""
			if n < len(list) {
				name, empty = "`"+list[n]+"`", false
			}
			row += " " + name + " |"
		}
		if empty {
			return b.String()
		}
		b.WriteString(row + "\n")
	}
}

func codeList(list string) string { return "`" + strings.ReplaceAll(list, ", ", "`, `") + "`" }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"regexp"
	"strings"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// value is one Wasm value of a function's parameters: a parameter is one or two of them.
type value struct {
	name string
	typ  abi.ValueType
}

// values lists the Wasm values of a function with their names: the length of a text or of bytes is <name>_len, the size of a
// structure or of memory to be filled <name>_size.
func values(f abi.Func) []value {
	var out []value
	for _, p := range f.Params {
		for i, t := range p.Kind.Wasm() {
			name := p.Name
			if i == 1 {
				name += lengthSuffix(p.Kind)
			}
			out = append(out, value{name, t})
		}
	}
	return out
}

func lengthSuffix(k abi.Kind) string {
	if k == abi.Text || k == abi.Bytes {
		return "_len"
	}
	return "_size"
}

// wrap breaks text into lines of at most width characters, each with the prefix before it; the first has first instead.
func wrap(first, prefix, text string, width int) string {
	var b strings.Builder
	line := first
	empty := true // no word on this line yet
	for _, w := range strings.Fields(text) {
		if !empty && len(line)+1+len(w) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = prefix, true
		}
		if !empty {
			line += " "
		}
		line += w
		empty = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// setName finds where the text of a parameter or field says which set its numbers are of: "Of probe.", "..., of kind."
var setName = regexp.MustCompile(`(^Of|, of) ([a-z_]+)\b`)

// setOf is the set that the text of a parameter or field names, or empty.
func setOf(doc string) string {
	found := ""
	namedSets(doc, func(set string) string { found = set; return set })
	return found
}

// namedSets replaces the name of a set of numbers in the text of a parameter or field by what show makes of it.
func namedSets(doc string, show func(set string) string) string {
	sets := map[string]bool{}
	for _, e := range abi.Enums() {
		sets[e.Name] = true
	}
	return setName.ReplaceAllStringFunc(doc, func(m string) string {
		part := setName.FindStringSubmatch(m)
		if !sets[part[2]] {
			return m
		}
		return part[1] + " " + show(part[2])
	})
}

func upper(s string) string { return strings.ToUpper(s) }

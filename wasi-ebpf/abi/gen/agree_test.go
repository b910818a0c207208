package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// contract is what five places say of the contract, each read in its own form: not by the code that wrote it.
type contract struct {
	header, wit string
	pages       map[string]string
	// guest is what a guest made from the header imports, offers what the host registers.
	guest, offers []engine.Import
}

func readContract(t *testing.T) contract {
	t.Helper()
	read := func(path string) string {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	c := contract{header: read("wasi-ebpf/sdk/c/wasi_ebpf/abi.h"), wit: read("wasi-ebpf/wit/ebpf.wit"), pages: map[string]string{}}
	for _, page := range pages() {
		c.pages[page] = read(specDir + page + ".md")
	}
	guest, err := wasmfile.Parse([]byte(read("wasi-ebpf/abi/gen/testdata/imports.wasm")))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range guest.Imports {
		c.guest = append(c.guest, engine.Import{Module: i.Module, Name: i.Name, Type: i.Type})
	}
	c.offers = hostOffers()
	return c
}

// disagreements compares all places with the contract.
func (c contract) disagreements() []string {
	var d differences
	c.checkSpec(&d)
	c.checkHeader(&d)
	c.checkWIT(&d)
	checkImports(&d, "header", c.guest)
	checkImports(&d, "host", c.offers)
	return d
}

type differences []string

// same compares what a place says with what the contract says.
func (d *differences) same(place, what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		*d = append(*d, fmt.Sprintf("%s: %s is %q, want %q", place, what, g, w))
	}
}

// sameKeys compares the names that a place has with those of the contract.
func (d *differences) sameKeys(place, what string, got, want map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if text, ok := got[name]; ok {
			d.same(place, what+" "+name, text, want[name])
		} else {
			*d = append(*d, fmt.Sprintf("%s: %s %s is missing", place, what, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			*d = append(*d, fmt.Sprintf("%s: %s %s is not in the contract", place, what, name))
		}
	}
}

// matches are the submatches of a pattern as a map from the first to the others.
func matches(text, pattern string) map[string]string {
	out := map[string]string{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		key := m[1]
		if _, twice := out[key]; twice { // must not hide behind the first
			key += " (again)"
		}
		out[key] = strings.Join(m[2:], " ")
	}
	return out
}

// section is the part of a page under a heading, up to the next one of any level.
func section(page, heading string) string {
	_, rest, _ := strings.Cut(page, "\n### "+heading+"\n")
	text, _, _ := strings.Cut(rest, "\n#")
	return text
}

func (c contract) checkSpec(d *differences) {
	for _, family := range abi.Families {
		want := map[string]string{}
		for _, f := range abi.Functions() {
			if f.Family == family {
				want[f.Name] = signature(f)
				c.checkSpecFunction(d, f)
			}
		}
		got := map[string]string{}
		for _, code := range regexp.MustCompile("(?s)\n```\n([^`]*)\n```\n").FindAllString(c.pages[family], -1) {
			line := strings.Join(strings.Fields(strings.Trim(code, "`\n")), " ")
			maps.Copy(got, matches(line, `^([a-z][a-z0-9_]*)\((.*)\) -> errno: i32$`))
		}
		d.sameKeys("spec/"+family, "function", got, want)
	}
	all := ""
	for _, page := range pages() {
		all += c.pages[page]
	}
	for _, s := range abi.Structs() {
		want := map[string]string{}
		for _, f := range s.Fields {
			want[f.Name] = fmt.Sprint(f.Offset, " ", f.Size)
		}
		text := section(all, "Structure: "+s.Name)
		got := map[string]string{}
		for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| (\\d+) \\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(text, -1) {
			got[m[3]] = m[1] + " " + m[2]
		}
		d.sameKeys("spec", "field of "+s.Name, got, want)
		if !strings.Contains(text, fmt.Sprintf(" %d bytes.", s.Size)) {
			*d = append(*d, fmt.Sprintf("spec: structure %s does not say that it has %d bytes", s.Name, s.Size))
		}
	}
	for _, e := range abi.Enums() {
		got := map[string]string{}
		for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(section(all, "Numbers: "+e.Name), -1) {
			got[m[2]] = m[1]
		}
		d.sameKeys("spec", "number of "+e.Name, got, numbersOf(e))
	}
	got := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| `([A-Z0-9]+)` \\| `([a-z0-9]+)` \\|").FindAllStringSubmatch(c.pages["README"], -1) {
		got[m[2]] = m[1] + " " + m[3]
	}
	want := map[string]string{}
	for _, e := range abi.Errnos() {
		want[e.Name] = fmt.Sprint(uint16(e.Errno), " ", e.WASI)
	}
	d.sameKeys("spec", "errno", got, want)
}

// checkSpecFunction looks for the parameters, the errors and the kernel of a function on its page.
func (c contract) checkSpecFunction(d *differences, f abi.Func) {
	text := section(c.pages[f.Family], f.Name)
	place := "spec/" + f.Family + ", " + f.Name
	params, errnos := map[string]string{}, map[string]string{}
	for _, p := range f.Params {
		params[p.Name] = ""
	}
	for _, e := range f.Errnos {
		errnos[e.Errno.String()] = e.When
	}
	d.sameKeys(place, "parameter", matches(text, "(?m)^\\| `([a-z][a-z0-9_]*)` \\|"), params)
	d.sameKeys(place, "error", matches(text, "(?m)^\\| `([A-Z0-9]+)` \\| (.*) \\|$"), errnos)
	kernel := ""
	if m := regexp.MustCompile(`(?m)^\*\*Kernel:\*\* Linux (.*)\.$`).FindStringSubmatch(text); m != nil {
		kernel = m[1]
	}
	d.same(place, "first Linux", kernel, f.Kernel)
}

// signature lists the Wasm values of a function with their names.
func signature(f abi.Func) string {
	var out []string
	for _, p := range f.Params {
		for i, v := range p.Kind.Wasm() {
			name := p.Name
			switch {
			case i == 0:
			case p.Kind == abi.Text || p.Kind == abi.Bytes:
				name += "_len"
			default:
				name += "_size"
			}
			out = append(out, name+": "+string(v))
		}
	}
	return strings.Join(out, ", ")
}

func numbersOf(e abi.Enum) map[string]string {
	out := map[string]string{}
	for _, n := range e.Numbers {
		out[n.Name] = strconv.FormatUint(n.Value, 10)
	}
	return out
}

func (c contract) checkHeader(d *differences) {
	constants := map[string]string{}
	for _, e := range abi.Enums() {
		for name, v := range numbersOf(e) {
			constants["EBPF_"+strings.ToUpper(e.Name+"_"+name)] = v
		}
	}
	for _, e := range abi.Errnos() {
		constants["EBPF_E"+e.Name] = fmt.Sprint(uint16(e.Errno))
	}
	d.sameKeys("abi.h", "constant", matches(c.header, `(?m)^\t(EBPF_[A-Z0-9_]+) = (\d+)`), constants)
	offsets, sizes := map[string]string{}, map[string]string{}
	for _, s := range abi.Structs() {
		sizes[s.Name] = fmt.Sprint(s.Size)
		for _, f := range s.Fields {
			offsets[s.Name+", "+f.Name] = fmt.Sprint(f.Offset)
		}
	}
	d.sameKeys("abi.h", "offset", matches(c.header, `offsetof\(struct ebpf_([a-z0-9_]+, [a-z0-9_]+)\) == (\d+)\)`), offsets)
	d.sameKeys("abi.h", "size", matches(c.header, `sizeof\(struct ebpf_([a-z0-9_]+)\) == (\d+)\)`), sizes)
	d.same("abi.h", "version", matches(c.header, `#define EBPF_VERSION_(MAJOR|MINOR) (\d+)`), map[string]string{
		"MAJOR": fmt.Sprint(abi.VersionMajor), "MINOR": fmt.Sprint(abi.VersionMinor),
	})
}

// checkWIT looks for functions, records and numbers in the WIT package. What a parameter becomes there is the generator's choice;
// that nothing is left out is not.
func (c contract) checkWIT(d *differences) {
	interfaces := matches(c.wit, `(?ms)^interface ([a-z-]+) \{$(.*?)^\}$`)
	for _, family := range abi.Families {
		want := map[string]string{}
		for _, f := range abi.Functions() {
			if f.Family == family && f.Name != "close" { // dropping a resource
				want[witNameOf(f)] = ""
			}
		}
		got := map[string]string{}
		owner := ""
		for _, line := range strings.Split(interfaces[family], "\n") {
			if m := regexp.MustCompile(`^  resource ([a-z-]+) \{`).FindStringSubmatch(line); m != nil {
				owner = m[1] + "."
			} else if strings.HasPrefix(line, "  }") {
				owner = ""
			}
			if m := regexp.MustCompile(`^ +%?([a-z-]+): (?:static )?func\(`).FindStringSubmatch(line); m != nil {
				got[owner+m[1]] = ""
			}
		}
		if family == "handle" {
			want["number"] = ""
		}
		d.sameKeys("WIT interface "+family, "function", got, want)
	}
	for _, e := range abi.Enums() {
		if e.Name == "update" {
			continue
		}
		var cases []string
		for _, n := range e.Numbers {
			cases = append(cases, strings.ReplaceAll(n.Name, "_", "-"))
		}
		d.same("WIT", "set "+e.Name, witCases(c.wit, witSet(e.Name)), cases)
	}
	var errnos []string
	for _, e := range abi.Errnos()[1:] {
		errnos = append(errnos, strings.ToLower(e.Name))
	}
	d.same("WIT", "errno", witCases(c.wit, "errno"), errnos)
	d.same("WIT", "package", matches(c.wit, `(?m)^package (wasi:ebpf)@(.*);$`), map[string]string{
		"wasi:ebpf": fmt.Sprintf("%d.%d.0", abi.VersionMajor, abi.VersionMinor),
	})
}

// witNameOf is where a function is in WIT: "map.lookup-batch", or without a resource its name.
func witNameOf(f abi.Func) string {
	owner := ""
	for i, p := range f.Params {
		switch {
		case p.Kind == abi.Handle && i == 0 && home(p.Of) == f.Family:
			owner = p.Of
		case p.Kind == abi.OutHandle && owner == "" && strings.HasPrefix(f.Name, p.Of+"_"):
			owner = p.Of
		}
	}
	name := f.Name
	for _, prefix := range []string{f.Family + "_", owner + "_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	name = strings.ReplaceAll(name, "_", "-")
	if owner != "" {
		return owner + "." + name
	}
	return name
}

// witCases are the names in an enum or a flags type.
func witCases(wit, name string) []string {
	m := regexp.MustCompile(`(?s)\n  (?:enum|flags) ` + regexp.QuoteMeta(name) + ` \{\n(.*?)\n  \}`).FindStringSubmatch(wit)
	var out []string
	for _, line := range strings.Split(strings.Join(m, "\n"), "\n") {
		if c := regexp.MustCompile(`^    %?([a-z0-9-]+),$`).FindStringSubmatch(line); c != nil {
			out = append(out, c[1])
		}
	}
	// The whole match repeats the cases.
	return out[:len(out)/2]
}

func checkImports(d *differences, place string, got []engine.Import) {
	have, want := map[string]string{}, map[string]string{}
	for _, i := range got {
		have[i.Module+"."+i.Name] = i.Type.String()
	}
	for _, f := range abi.Functions() {
		t := engine.FuncType{Results: []engine.ValueType{engine.I32}}
		for _, v := range f.Wasm() {
			t.Params = append(t.Params, map[abi.ValueType]engine.ValueType{abi.WasmI32: engine.I32, abi.WasmI64: engine.I64}[v])
		}
		want[abi.Module+"."+f.Name] = t.String()
	}
	d.sameKeys(place, "import", have, want)
}

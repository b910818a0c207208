package main

import (
	"fmt"
	"strings"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// witFunc is a function in WIT.
type witFunc struct {
	// owner is the resource whose method or static function it is; empty for none.
	owner string
	text  string
	// record declares what it answers if that is several things.
	record string
}

// witPart is a parameter or a part of the result.
type witPart struct{ name, typ, doc string }

func witFuncOf(f abi.Func) witFunc {
	var in, out []witPart
	w := witFunc{}
	static := false
	for i, p := range f.Params {
		if i == 0 && p.Kind == abi.Handle && home(p.Of) == f.Family {
			w.owner = p.Of // self
			continue
		}
		if p.Kind == abi.OutHandle && w.owner == "" && strings.HasPrefix(f.Name, p.Of+"_") && home(p.Of) == f.Family {
			w.owner, static = p.Of, true
		}
		pi, po := witParam(f, p)
		in, out = append(in, pi...), append(out, po...)
	}
	name := f.Name
	for _, prefix := range []string{f.Family + "_", w.owner + "_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	name = kebab(name)
	result := "result<_, errno>"
	failure := "errno"
	if e, ok := witErrors[f.Name]; ok {
		failure = e
	}
	switch len(out) {
	case 0:
		result = "result<_, " + failure + ">"
	case 1:
		result = "result<" + out[0].typ + ", " + failure + ">"
	default:
		record := strings.TrimPrefix(name, "%") + "-result"
		w.record = witResult(f, record, out)
		result = "result<" + record + ", " + failure + ">"
	}
	w.text = witText(f, w.owner != "", static, name, in, result)
	return w
}

func witResult(f abi.Func, record string, out []witPart) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  /// What %s answers.\n  record %s {\n", kebabPlain(f.Name), record)
	for _, p := range out {
		b.WriteString(wrap("    /// ", "    /// ", witDoc(p.doc), witWidth))
		fmt.Fprintf(&b, "    %s: %s,\n", p.name, p.typ)
	}
	b.WriteString("  }\n")
	return b.String()
}

func witText(f abi.Func, method, static bool, name string, in []witPart, result string) string {
	var b strings.Builder
	indent := "  "
	if method {
		indent = "    "
	}
	b.WriteString(wrap(indent+"/// ", indent+"/// ", witDoc(f.Doc), witWidth))
	if f.Kernel != "" {
		fmt.Fprintf(&b, "%s/// Linux %s.\n", indent, f.Kernel)
	}
	for _, p := range in {
		b.WriteString(wrap(indent+"/// - "+strings.TrimPrefix(p.name, "%")+": ", indent+"///   ", witDoc(p.doc), witWidth))
	}
	for _, c := range f.Errnos {
		b.WriteString(wrap(indent+"/// Error "+kebabPlain(strings.ToLower(c.Errno.String()))+": ", indent+"///   ", witDoc(c.When), witWidth))
	}
	params := make([]string, len(in))
	for i, p := range in {
		params[i] = p.name + ": " + p.typ
	}
	word := "func"
	if static {
		word = "static func"
	}
	fmt.Fprintf(&b, "%s%s: %s(%s) -> %s;\n", indent, name, word, strings.Join(params, ", "), result)
	return b.String()
}

// witParam is what a parameter becomes: something that goes in, something in the result, or both.
func witParam(f abi.Func, p abi.Param) (in, out []witPart) {
	part := witPart{kebab(p.Name), "", p.Doc}
	result := witPart{kebab(strings.TrimPrefix(p.Name, "out_")), "", p.Doc}
	key := f.Name + "." + p.Name
	if o, ok := witOverrides[key]; ok {
		return o.in, o.out
	}
	switch p.Kind {
	case abi.U32, abi.I32, abi.U64, abi.I64:
		part.typ = witNumberType(p)
	case abi.Handle:
		part.typ = "borrow<" + p.Of + ">"
		if p.Of == "any" {
			part.typ = "handle"
		}
	case abi.Text:
		part.typ = "string"
	case abi.Bytes:
		part.typ = "list<u8>"
	case abi.Struct:
		part.typ = kebab(p.Of)
	case abi.InOut:
		part.typ, result.typ = "list<u8>", "list<u8>"
		return []witPart{part}, []witPart{result}
	case abi.Buffer:
		result.typ = "list<u8>"
		if witTexts[key] {
			result.typ = "string"
		}
		if !strings.Contains(p.Doc, "exactly") {
			in = []witPart{{kebabPlain(p.Name) + "-size", "u32", "At most so many bytes are answered."}}
		}
		return in, []witPart{result}
	case abi.OutStruct:
		result.typ = kebab(p.Of)
		return nil, []witPart{result}
	case abi.OutU32:
		result.typ = "u32"
		return nil, []witPart{result}
	case abi.OutU64:
		result.typ = "u64"
		return nil, []witPart{result}
	case abi.OutHandle:
		result.typ = p.Of
		if p.Of == "any" {
			result.typ = "owned"
		}
		return nil, []witPart{result}
	}
	if p.Optional {
		part.typ = "option<" + part.typ + ">"
	}
	return []witPart{part}, nil
}

var witNumbers = map[abi.Kind]string{abi.U32: "u32", abi.I32: "s32", abi.U64: "u64", abi.I64: "s64"}

// witNumberType is the enum or flags that a parameter's text names, or a plain number.
func witNumberType(p abi.Param) string {
	if set := setOf(p.Doc); set != "" && p.Kind == abi.U32 {
		return witSet(set)
	}
	return witNumbers[p.Kind]
}

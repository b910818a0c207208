package main

import (
	"regexp"
	"strings"
	"sync"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// What the component model says better than a translation of each parameter would.

type witOverride struct{ in, out []witPart }

// witOverrides are parameters that become something else, by function and parameter.
var witOverrides = map[string]witOverride{
	"object_item.buf":                       {out: []witPart{{"item", "item", "The item, with its name and its section."}}},
	"object_item.out_len":                   {},
	"object_set_autoload.load":              {in: []witPart{{"load", "bool", "Whether it is loaded."}}},
	"object_get_variable.buf":               {in: []witPart{{"buf-size", "u32", "At most so many bytes are answered."}}, out: []witPart{{"value", "list<u8>", "The value."}}},
	"object_get_variable.out_len":           {},
	"map_write_ring.frames":                 {in: []witPart{{"records", "list<list<u8>>", "The records."}}},
	"map_lookup_batch.keys":                 entries,
	"map_lookup_batch.values":               {},
	"map_lookup_batch.out_count":            {},
	"map_lookup_and_delete_batch.keys":      entries,
	"map_lookup_and_delete_batch.values":    {},
	"map_lookup_and_delete_batch.out_count": {},
	"map_update_batch.keys":                 {in: []witPart{{"entries", "list<tuple<list<u8>, list<u8>>>", "Keys and values."}}},
	"map_update_batch.values":               {},
	"map_delete_batch.keys":                 {in: []witPart{{"keys", "list<list<u8>>", "The keys."}}},
	"program_test_run.run":                  {in: []witPart{{"run", "test-run", "The input."}}, out: []witPart{{"outcome", "test-outcome", "The outcome."}}},
	"events_read.buf":                       {in: []witPart{{"buf-size", "u32", "Room for frames and data, in bytes as the frames of the core contract count them."}}, out: []witPart{{"frames", "list<frame>", "The records."}}},
	"iter_read.out_len":                     {},
	"kernel_interfaces.buf":                 {out: []witPart{{"interfaces", "list<%interface>", "The devices."}}},
	"kernel_interfaces.out_count":           {},
}

var entries = witOverride{
	in:  []witPart{{"max", "u32", "At most so many entries are answered."}},
	out: []witPart{{"entries", "list<tuple<list<u8>, list<u8>>>", "Keys and values."}},
}

// witErrors are the errors of functions that tell more than an errno.
var witErrors = map[string]string{
	"map_update_batch": "partial", "map_delete_batch": "partial", "map_write_ring": "partial",
	"object_get_variable": "short", "events_read": "short", "map_lookup_batch": "stopped", "map_lookup_and_delete_batch": "stopped",
}

// witTexts are the buffers that receive text.
var witTexts = map[string]bool{
	"last_error.buf": true, "program_log.buf": true, "link_info.text": true, "kernel_symbolize.buf": true, "process_symbolize.buf": true,
	"kernel_cgroup_path.buf": true,
}

// witExtra are fields of records that lie behind the structure, or came out of it, in the core contract.
var witExtra = map[string][]witPart{
	"item":  {{"name", "string", "Its name."}, {"section", "string", "Of a program its ELF section, of a variable the map that it lies in."}},
	"frame": {{"data", "list<u8>", "The record."}},
}

// witFields are fields of structures that become something else, or nothing.
var witFields = map[string]string{
	"item.name_len": "", "item.section_len": "",
	"map_options.inner":      "option<borrow<map>>",
	"program_options.insns":  "list<u8>",
	"program_options.target": "option<borrow<program>>",
	"target.map":             "option<borrow<map>>",
	"target.program":         "option<borrow<program>>",
	"target.socket":          "option<borrow<socket>>",
	"target.anchor":          "option<borrow<link>>",
	"target.perf_type":       "option<u32>",
	"test_run.data_in":       "list<u8>",
	"test_run.ctx_in":        "list<u8>",
	"test_run.data_out":      "u32",
	"test_run.ctx_out":       "u32",
	"test_run.duration":      "", "test_run.return_value": "",
	"frame.size": "", "batch.bytes": "", "batch.records": "", "batch.need": "",
}

var witScalars = map[string]string{"u8": "u8", "u16": "u16", "u32": "u32", "i32": "s32", "u64": "u64", "span": "string"}

// witField is the type of a structure's field, or empty if the record does not have it.
func witField(structure string, f abi.Field) string {
	if t, ok := witFields[structure+"."+f.Name]; ok {
		return t
	}
	if f.Name == "reserved" || f.Name == "pad" {
		return ""
	}
	if set := setOf(f.Doc); set != "" {
		t := witSet(set)
		if strings.Contains(f.Doc, "; 0 is") {
			t = "option<" + t + ">"
		}
		return t
	}
	if strings.HasSuffix(f.Type, "]") {
		if strings.Contains(f.Doc, "NUL-terminated") {
			return "string"
		}
		return "list<u8>"
	}
	return witScalars[f.Type]
}

// witFamilyDoc says what each interface is for.
var witFamilyDoc = map[string]string{
	"handle":  "The contract itself: version, errors, and objects that outlive a handle.",
	"object":  "BPF objects: the programs, maps and variables of one ELF file.",
	"map":     "Maps.",
	"program": "Programs in the kernel, and programs made at run time.",
	"link":    "Programs attached to hooks.",
	"events":  "Records from ring buffers and perf arrays.",
	"kernel":  "Questions about the kernel, and objects of the kernel that maps and hooks refer to.",
}

// witKeywords are the words of WIT, which names must escape.
var witKeywords = map[string]bool{
	"use": true, "type": true, "resource": true, "func": true, "record": true, "enum": true, "flags": true, "variant": true, "static": true,
	"interface": true, "world": true, "import": true, "export": true, "package": true, "include": true, "constructor": true, "list": true,
	"option": true, "result": true, "tuple": true, "string": true, "bool": true, "char": true, "own": true, "borrow": true, "with": true,
	"from": true, "as": true, "async": true, "future": true, "stream": true,
}

// kebabPlain writes a name as WIT does, in text.
func kebabPlain(name string) string { return strings.ReplaceAll(name, "_", "-") }

// kebab writes a name as WIT does, in a declaration.
func kebab(name string) string {
	name = kebabPlain(name)
	if witKeywords[name] {
		return "%" + name
	}
	return name
}

// witPhrases are pieces of text that the component model says in another way.
// The flags of map operations are not a WIT type: the kernel has more of them, and a CPU's number beside them.
var witPhrases = strings.NewReplacer(
	"Null for none.", "Absent for the defaults.",
	"null for what the section says", "absent for what the section says",
	"; 0 for the kernel.", "; absent for the kernel.",
	"; 0 for any.", "; absent for any.",
	", plus 1; 0 is", "; absent is",
	"; 0 is IPv4", "; absent is IPv4",
	"Of update-flags, and the kernel's others.", "1 noexist, 2 exist, 4 lock, 8 cpu (whose number is in the upper 32 bits), 16 all-cpus, and the kernel's others.",
	"; else 0.", "; else absent.",
	". Else 0.", ".",
	"After the last entry out_count is 0.", "After the last entry it answers none.",
	"It ends when out_len is 0.", "An empty list is the end.",
	"; len becomes its whole length.", ", in bytes.",
	", NUL-terminated.", ".",
	"NUL-terminated.", "As the kernel has it.",
	", without a NUL.", ".",
	"; NOTSUP no,", "; notsup no,",
	"SUCCESS", "success",
	" answering MSGSIZE", " answering msgsize",
)

var snakeName = regexp.MustCompile(`\b[a-z]+(_[a-z0-9]+)+\b`)

// witDoc is a text about the core contract for readers of the WIT package.
func witDoc(text string) string {
	text = witPhrases.Replace(namedSets(text, witSet))
	if rest, ok := strings.CutPrefix(text, "Receives "); ok {
		text = strings.ToUpper(rest[:1]) + rest[1:]
	}
	names := contractNames()
	return snakeName.ReplaceAllStringFunc(text, func(name string) string {
		if !names[name] {
			return name // the kernel's, or of C
		}
		return kebabPlain(name)
	})
}

// contractNames are all names that the contract gives.
var contractNames = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, f := range abi.Functions() {
		names[f.Name] = true
		for _, p := range f.Params {
			names[p.Name] = true
		}
	}
	for _, e := range abi.Enums() {
		for _, n := range e.Numbers {
			names[n.Name] = true
		}
	}
	for _, s := range abi.Structs() {
		names[s.Name] = true
		for _, f := range s.Fields {
			names[f.Name] = true
		}
	}
	return names
})

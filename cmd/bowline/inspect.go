package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

func (a *app) inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in a plugin, without running it",
		ArgsUsage: "[-o json] FILE.wasm",
		Description: "Shows imports, exports, memory and sections of a module, and the BPF objects inside it (in its data, and in custom " +
			"sections named bpf.obj.NAME) with their programs, hooks, helper functions and maps, and the oldest kernel that has " +
			"all of that. Shows what the plugin asks for in its manifest beside the grants that its contents need, and warns where " +
			"the two differ. Needs no privilege. FILE may be \"-\" for standard input.",
		UsageText: "inspect execsnoop.wasm\ninspect -o json execsnoop.wasm | jq '.bpf_objects[].programs[].section'",
		Flags:     []cli.Flag{outputFlag()},
		Action:    a.inspectAction,
	}
}

func (a *app) inspectAction(c *cli.Context) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	args := slices.DeleteFunc(c.Args().Slice(), func(s string) bool { return s == "--" })
	if len(args) != 1 || args[0] == "" {
		return usagef("inspect: name one .wasm file: %s inspect FILE.wasm", appName)
	}
	tried := "inspect " + args[0] + ": "
	wasm, err := a.readFile(args[0])
	if err == nil {
		var in *inspection
		if in, err = inspect(args[0], wasm); err == nil && asJSON {
			return a.writeJSON(in)
		} else if err == nil {
			var b bytes.Buffer
			writeInspection(&b, in, styleFor(a.stdout), width(a.stdout))
			return a.write(b.Bytes())
		}
	}
	if advice := adviceFor(err); advice != "" {
		return fmt.Errorf("%s%w; %s", tried, err, advice)
	}
	return fmt.Errorf("%s%w", tried, err)
}

// readFile reads a file or standard input, at most [node.MaxModuleSize] bytes.
func (a *app) readFile(name string) ([]byte, error) {
	f := a.stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, withoutPath(err)
		}
		defer f.Close()
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("it is a directory; name the .wasm file in it")
	}
	b, err := io.ReadAll(io.LimitReader(f, node.MaxModuleSize+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(b) > node.MaxModuleSize {
		return nil, fmt.Errorf("larger than %s, which is the limit for a module; strip it (wasm-opt -Oz --strip-debug)", size(node.MaxModuleSize))
	}
	return b, nil
}

// withoutPath takes the name out of an error that names it elsewhere.
func withoutPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// inspection is the JSON form of "bowline inspect". Fields are added, never renamed or removed.
type inspection struct {
	File string `json:"file"`
	// Size is in bytes; SHA256 is the digest in hexadecimal.
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
	// Kind is "core module". Role is "command" (exports _start), "reactor" (exports _initialize) or "library".
	Kind string `json:"kind"`
	Role string `json:"role"`
	// Name is the module's own name, Language a guess; both may be empty.
	Name      string     `json:"name"`
	Language  string     `json:"language"`
	Producers []producer `json:"producers"`
	// Functions is how many the module defines.
	Functions int            `json:"functions"`
	Imports   []importInfo   `json:"imports"`
	Exports   []exportInfo   `json:"exports"`
	Memories  []limits       `json:"memories"`
	Tables    []limits       `json:"tables"`
	Sections  []sectionInfo  `json:"custom_sections"`
	Objects   []objectReport `json:"bpf_objects"`
	// Manifest is null if there is none. Needs are what the contents need, with or without a manifest.
	Manifest *manifestReport `json:"manifest"`
	Needs    []grantReport   `json:"needs"`
	// Warnings say where the manifest and the contents differ, Notes what only a run can tell.
	Warnings []string `json:"warnings"`
	Notes    []string `json:"notes"`
}

type importInfo struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	// Type is the type of a function, such as "(i32, i64) -> i32"; empty for others.
	Type string `json:"type,omitempty"`
	// Interface is "wasi", "wasi_ebpf", "wasm_bpf", or "unknown" if bowline does not provide it.
	Interface string `json:"interface"`
}

type exportInfo struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Type string `json:"type,omitempty"`
}

// limits are those of a memory in pages of 64 KiB, or of a table in elements.
type limits struct {
	// Type is the type of a table's elements.
	Type     string  `json:"type,omitempty"`
	Initial  uint32  `json:"initial"`
	Max      *uint32 `json:"max"` // null: no limit of its own
	Imported bool    `json:"imported"`
	Shared   bool    `json:"shared,omitempty"`
}

type sectionInfo struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

// inspect reads a module.
func inspect(name string, wasm []byte) (*inspection, error) {
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(wasm)
	in := &inspection{
		File: name, Size: len(wasm), SHA256: hex.EncodeToString(sum[:]), Kind: "core module", Role: role(f),
		Name: moduleName(f), Producers: producers(f), Functions: len(f.Funcs),
		Imports: []importInfo{}, Exports: []exportInfo{}, Memories: []limits{}, Tables: []limits{}, Sections: []sectionInfo{},
		Objects: bpfObjects(f), Needs: []grantReport{}, Warnings: []string{}, Notes: []string{},
	}
	inspectManifest(in, f)
	in.Language = language(f, in.Producers)
	for _, i := range f.Imports {
		info := importInfo{Module: i.Module, Name: i.Name, Kind: i.Kind.String(), Interface: interfaceOf(i)}
		switch i.Kind {
		case wasmfile.KindFunc:
			info.Type = i.Type.String()
		case wasmfile.KindMemory:
			in.Memories = append(in.Memories, memoryLimits(i.Memory, true))
		case wasmfile.KindTable:
			in.Tables = append(in.Tables, tableLimits(i.Table, true))
		}
		in.Imports = append(in.Imports, info)
	}
	for _, e := range f.Exports {
		info := exportInfo{Name: e.Name, Kind: e.Kind.String()}
		if t, ok := f.FuncType(e.Index); ok && e.Kind == wasmfile.KindFunc {
			info.Type = t.String()
		}
		in.Exports = append(in.Exports, info)
	}
	for _, m := range f.Memories {
		in.Memories = append(in.Memories, memoryLimits(m, false))
	}
	for _, t := range f.Tables {
		in.Tables = append(in.Tables, tableLimits(t, false))
	}
	for _, s := range f.Custom {
		in.Sections = append(in.Sections, sectionInfo{s.Name, len(s.Bytes)})
	}
	return in, nil
}

func limitsOf(l wasmfile.Limits) limits {
	out := limits{Initial: l.Min}
	if l.HasMax {
		out.Max = &l.Max
	}
	return out
}

func memoryLimits(m wasmfile.Memory, imported bool) limits {
	l := limitsOf(m.Limits)
	l.Imported, l.Shared = imported, m.Shared
	return l
}

func tableLimits(t wasmfile.Table, imported bool) limits {
	l := limitsOf(t.Limits)
	l.Imported, l.Type = imported, t.Elem.String()
	return l
}

func role(f *wasmfile.File) string {
	if _, ok := f.Export("_start"); ok {
		return "command"
	}
	if _, ok := f.Export("_initialize"); ok {
		return "reactor"
	}
	return "library"
}

// interfaceOf says which of the interfaces that bowline provides an import belongs to.
func interfaceOf(i wasmfile.Import) string {
	switch {
	case i.Kind != wasmfile.KindFunc:
	case i.Module == "wasi_snapshot_preview1":
		return "wasi"
	case slices.ContainsFunc(node.Offers(), func(o engine.Import) bool { return o.Module == i.Module && o.Name == i.Name }):
		if i.Module == abi.Module {
			return abi.Module
		}
		return "wasm_bpf"
	}
	return "unknown"
}

// producer is one entry of the producers section.
type producer struct {
	Field   string `json:"field"` // "language", "processed-by" or "sdk"
	Name    string `json:"name"`
	Version string `json:"version"`
}

// producers reads the section that compilers write about themselves; what is damaged is left out.
func producers(f *wasmfile.File) []producer {
	out := []producer{}
	s, ok := f.CustomSection("producers")
	if !ok {
		return out
	}
	r := wasmfile.NewReader(s.Bytes, s.Offset, "producers")
	for range r.Count("fields", 2, 16) {
		field := r.Name()
		for range r.Count("values", 2, 64) {
			p := producer{field, r.Name(), r.Name()}
			if r.Err() != nil {
				return out
			}
			out = append(out, p)
		}
	}
	return out
}

// moduleName reads the module's name out of the name section.
func moduleName(f *wasmfile.File) string {
	s, ok := f.CustomSection("name")
	if !ok {
		return ""
	}
	r := wasmfile.NewReader(s.Bytes, s.Offset, "name")
	if r.Byte() != 0 { // the subsection of the module's name comes first
		return ""
	}
	r.U32()
	return r.Name()
}

// language guesses what a module was written in.
func language(f *wasmfile.File, list []producer) string {
	for _, p := range list {
		if p.Field == "language" {
			return p.Name
		}
	}
	if _, ok := f.CustomSection("go:buildid"); ok {
		return "Go"
	}
	for _, i := range f.Imports {
		if i.Module == "env" && i.Name == "abort" {
			return "AssemblyScript"
		}
	}
	for _, p := range list {
		switch name := strings.ToLower(p.Name); {
		case strings.Contains(name, "rustc"):
			return "Rust"
		case strings.Contains(name, "tinygo"), strings.Contains(name, "go cmd"):
			return "Go"
		case strings.Contains(name, "clang"):
			return "C or C++"
		}
	}
	return ""
}

package abi

import (
	"regexp"
	"strings"
	"testing"
)

func TestTablesAreWhole(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	seen := map[string]bool{}
	structs := map[string]bool{}
	for _, s := range Structs() {
		structs[s.Name] = true
	}
	kinds := map[string]bool{"any": true}
	for _, n := range Enums()[0].Numbers {
		kinds[n.Name] = true
	}
	families := map[string]bool{}
	for _, f := range Families {
		families[f] = true
	}
	for _, f := range Functions() {
		if !name.MatchString(f.Name) || seen[f.Name] || f.Doc == "" || !families[f.Family] {
			t.Errorf("function %q: bad or repeated name, family %q, or no text", f.Name, f.Family)
		}
		seen[f.Name] = true
		if len(f.Wasm()) > 16 {
			t.Errorf("%s has %d values, more than fit in registers of any engine", f.Name, len(f.Wasm()))
		}
		names := map[string]bool{}
		for _, p := range f.Params {
			if !name.MatchString(p.Name) || names[p.Name] || p.Doc == "" {
				t.Errorf("%s: parameter %q: bad or repeated name, or no text", f.Name, p.Name)
			}
			names[p.Name] = true
			switch p.Kind {
			case Handle, OutHandle:
				if !kinds[p.Of] {
					t.Errorf("%s: parameter %s is a handle of %q", f.Name, p.Name, p.Of)
				}
			case Struct, OutStruct, IOStruct:
				if !structs[p.Of] {
					t.Errorf("%s: parameter %s is a structure %q", f.Name, p.Name, p.Of)
				}
			}
		}
	}
}

func TestStructuresHaveNoHoles(t *testing.T) {
	for _, s := range Structs() {
		at := 0
		for _, f := range s.Fields {
			if f.Offset != at || f.Doc == "" {
				t.Errorf("%s.%s lies at %d, want %d without a hole, and a text", s.Name, f.Name, f.Offset, at)
			}
			at = f.Offset + f.Size
		}
		if at != s.Size {
			t.Errorf("%s has %d bytes, its fields %d", s.Name, s.Size, at)
		}
	}
}

func TestErrnosAreThoseOfWASI(t *testing.T) {
	last := -1
	for _, e := range Errnos() {
		if int(e.Errno) <= last || e.Doc == "" {
			t.Errorf("errno %s is out of order or has no text", e.Name)
		}
		last = int(e.Errno)
		if got, ok := errnoByName(e.Name); !ok || got != e.Errno {
			t.Errorf("errnoByName(%s) = %v, %v", e.Name, got, ok)
		}
	}
	// A sample from wasi_snapshot_preview1.witx.
	for want, e := range map[Errno]Errno{8: BADF, 21: FAULT, 28: INVAL, 44: NOENT, 58: NOTSUP, 76: NOTCAPABLE} {
		if want != e {
			t.Errorf("%s is %d, want %d", e, uint16(e), uint16(want))
		}
	}
}

func TestNamesOfFields(t *testing.T) {
	for in, want := range map[string]string{"KeySize": "key_size", "OnlineCPUs": "online_cpus", "MAC": "mac", "ProgramID": "program_id", "JITedSize": "jited_size"} {
		if got := snake(in); got != want {
			t.Errorf("snake(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestHooksReadKnownFields(t *testing.T) {
	fields := map[string]bool{}
	for _, s := range Structs() {
		if s.Name == "target" {
			for _, f := range s.Fields {
				fields[f.Name] = true
			}
		}
	}
	for _, h := range Hooks() {
		for _, f := range h.Fields {
			if !fields[strings.TrimSuffix(f, "!")] {
				t.Errorf("hook %s reads %q, which no target has", h.Name, f)
			}
		}
	}
}

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// The contract is not imported by the package; these tests hold its tables to it.

func TestEveryHookOfTheContractCanBeGranted(t *testing.T) {
	for _, h := range abi.Hooks() {
		g, err := ParseGrant(h.Name)
		if instead, never := neverAttached[h.Name]; never {
			if err == nil || !strings.Contains(err.Error(), instead) {
				t.Errorf("grant %q: %v, want an error that says %q", h.Name, err, instead)
			}
			if _, err := ParseGrant(instead); err != nil {
				t.Errorf("what is to be granted in place of %s: %v", h.Name, err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		id := headByName[g.head]
		if heads[id].kind != Attach || len(heads[id].programs) == 0 {
			t.Errorf("%s grants no attaching, or no type of program", h.Name)
		}
		needsName := slices.Contains(h.Fields, "name!")
		if s := heads[id].shape; needsName && (s == noTarget || s == symbolShape) {
			t.Errorf("hook %s is attached to something that grants cannot name", h.Name)
		}
	}
	known := map[string]bool{}
	for _, h := range abi.Hooks() {
		known[h.Name] = true
	}
	for _, h := range heads {
		if h.kind == Attach && !known[h.name] {
			t.Errorf("%s is no hook of the contract", h.name)
		}
	}
}

func TestTypesOfTheContractAreJudged(t *testing.T) {
	for _, name := range abi.MapTypes() {
		if in := ownMaps[name] != slices.Contains(reachingMaps, name); !in && name != "unspec" {
			t.Errorf("map type %s has to be either the plugin's own or one that reaches outside", name)
		}
	}
	// devmap_hash and the others have no numbers beyond those of the contract.
	for _, name := range append(keys(ownMaps), reachingMaps...) {
		if !slices.Contains(abi.MapTypes(), name) {
			t.Errorf("there is no map type %s", name)
		}
	}
	if got, want := slices.Sorted(slices.Values(programTypes)), slices.Sorted(slices.Values(abi.ProgramTypes()[1:])); !slices.Equal(got, want) {
		t.Errorf("types of program:\n got %v\nwant %v", got, want)
	}
	for _, h := range heads {
		for _, p := range h.programs {
			if !slices.Contains(programTypes, p) {
				t.Errorf("%s: there is no type of program %s", h.name, p)
			}
		}
		for _, m := range h.maps {
			if !slices.Contains(reachingMaps, m) {
				t.Errorf("%s: %s needs no grant", h.name, m)
			}
		}
	}
}

func TestEveryHelperOfTheKernelIsJudged(t *testing.T) {
	n := 0
	for f := asm.FnMapLookupElem; ; f++ {
		s := f.String()
		if strings.HasPrefix(s, "BuiltinFunc(") {
			break
		}
		n++
		var b strings.Builder
		for _, c := range strings.TrimPrefix(s, "Fn") {
			if c >= 'A' && c <= 'Z' {
				b.WriteByte('_')
				c += 'a' - 'A'
			}
			b.WriteRune(c)
		}
		if _, ok := helperRow["bpf"+b.String()]; !ok {
			t.Errorf("helper bpf%s is in neither table", b.String())
		}
	}
	if n < 211 || n != len(helperRow) {
		t.Errorf("the tables have %d helpers, the kernel %d", len(helperRow), n)
	}
	for _, h := range dangerous {
		for _, with := range append(strings.Fields(h.with), strings.Fields(h.less)...) {
			if i, ok := helperRow[with]; !ok || i < 0 {
				t.Errorf("%s includes %s, which is not in the table", h.name, with)
			}
		}
		if h.reason == "" {
			t.Errorf("%s has no reason", h.name)
		}
	}
}

func TestNoGroupAndNoHookIncludesADangerousHelper(t *testing.T) {
	var texts []string
	for _, g := range groups {
		texts = append(texts, g.name)
		for _, line := range groupLines(g.name, "eth0") {
			if _, err := ParseGrant(line); err != nil {
				t.Errorf("group %s: %v", g.name, err)
			}
		}
	}
	for _, h := range heads {
		if !h.needsTarget {
			texts = append(texts, h.name)
		}
	}
	r := rightsOf(t, texts...)
	for _, h := range dangerous {
		if err := r.Check(Action{Kind: Helper, Name: h.name}); err == nil {
			t.Errorf("%s is granted by something that does not name it", h.name)
		}
	}
	for _, k := range []string{"bpf_rdonly_cast", "bpf_probe_read_kernel_dynptr", "bpf_copy_from_user_str", "bpf_send_signal_task", "bpf_obj_new_impl", "bpf_sock_destroy"} {
		if err := r.Check(Action{Kind: Kfunc, Name: k}); err == nil {
			t.Errorf("kernel function %s is granted by something that does not name it", k)
		}
	}
}

func TestEveryHeadSaysWhatItAllows(t *testing.T) {
	for i, h := range heads {
		if h.doc == "" || h.name == "" {
			t.Errorf("head %d (%s) is not described", i, h.name)
		}
		text := h.name + h.example()
		if _, err := ParseGrant(text); err != nil {
			t.Errorf("the example of %s: %v", h.name, err)
		}
		for _, other := range h.also {
			if _, ok := headByName[other]; !ok {
				t.Errorf("%s includes %s, which does not exist", h.name, other)
			}
		}
	}
	for k := Kind(0); k < kinds; k++ {
		a := Action{Kind: k, Hook: "xdp"}
		if a.Verb() == "" {
			t.Errorf("kind %d has no name", k)
		}
		if id, ok := a.head(); !ok || heads[id].kind != k {
			t.Errorf("kind %d has no head", k)
		}
	}
}

// rightsOf are the rights of a plugin without a manifest on a box that allows the given lines; those with a "!" before them are denied.
func rightsOf(t testing.TB, lines ...string) *Rights {
	t.Helper()
	r, err := effective(nil, lines...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func effective(names Names, lines ...string) (*Rights, error) {
	p := &Policy{Names: names}
	for i, text := range lines {
		rest, deny := strings.CutPrefix(text, "!")
		g, err := ParseGrant(rest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i, err)
		}
		l := Line{Grant: g, File: "p.yaml", Number: i + 1}
		if deny {
			p.Deny = append(p.Deny, l)
		} else {
			p.Allow = append(p.Allow, l)
		}
	}
	return Effective(p, Plugin{}, nil)
}

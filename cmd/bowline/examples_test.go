package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// unseen are what a manifest of an example asks for beyond what its contents show: programs that are made at run time.
var unseen = map[string][]string{"filter": {"xdp"}}

func TestManifestsOfTheExamplesAgreeWithTheirContents(t *testing.T) {
	plugins, err := filepath.Glob("../../examples/*/*.bpf.o")
	if err != nil || len(plugins) < 15 {
		t.Fatalf("%d examples: %v", len(plugins), err)
	}
	for _, object := range append(plugins, "../../examples/filter/filter.bpf.o") {
		dir := filepath.Dir(object)
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			wasm, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			in, err := inspect(name, wasm)
			if err != nil {
				t.Fatal(err)
			}
			if len(in.Warnings) > 0 || in.Manifest == nil || in.Manifest.Name != name || in.Manifest.Description == "" {
				t.Errorf("the manifest is %+v, with warnings %q", in.Manifest, in.Warnings)
			}
			want, err := os.ReadFile(filepath.Join(dir, "manifest.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := wasmfile.Parse(wasm)
			if err != nil {
				t.Fatal(err)
			}
			if s, _ := f.CustomSection(policy.ManifestSection); !bytes.Equal(s.Bytes, want) {
				t.Error("the section is not manifest.yaml; make -f guests.mk guests")
			}
			m, err := node.ManifestOf(f)
			if err != nil {
				t.Fatal(err)
			}
			contents := lookInto(f)
			var asked, needed []string
			for _, n := range m.Needs {
				asked = append(asked, n.Grant.String())
			}
			for _, g := range contents.Needs() {
				needed = append(needed, g.String())
			}
			needed = append(needed, unseen[name]...)
			slices.Sort(asked)
			slices.Sort(needed)
			if !slices.Equal(asked, needed) {
				t.Errorf("the manifest asks for %q, policy suggest for %q", asked, needed)
			}
			if got := suggested(t, dir, name); !slices.Equal(got, needed) {
				t.Errorf("policy.yaml has %q, policy suggest %q", got, needed)
			}
		})
	}
}

// suggested runs "policy suggest" as it is typed, and answers the grants of the policy beside the plugin. The two are the same but for the
// first line, where the plugin shows all that it does.
func suggested(t *testing.T, dir, name string) []string {
	t.Helper()
	file := filepath.Join(dir, "policy.yaml")
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	a := &app{stdin: os.Stdin, stdout: out, stderr: os.Stderr}
	if code := a.run([]string{"policy", "suggest", filepath.Join(dir, name+".wasm")}); code != 0 {
		t.Errorf("policy suggest ends with %d", code)
	}
	got, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if unseen[name] == nil && !bytes.Equal(got, want) {
		t.Errorf("policy suggest writes\n%s, policy.yaml is\n%s", got, want)
	}
	p, err := policy.Parse(want, file)
	if err != nil {
		t.Fatal(err)
	}
	var grants []string
	for _, l := range p.Allow {
		grants = append(grants, l.Grant.String())
	}
	slices.Sort(grants)
	return grants
}

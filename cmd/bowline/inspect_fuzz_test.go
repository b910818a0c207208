package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/policy"
)

// FuzzInspectManifest puts anything into the section of a manifest: inspect shows the module all the same, and nothing that it writes
// steers a terminal.
func FuzzInspectManifest(f *testing.F) {
	wasm, err := os.ReadFile("../../examples/xdpcount/xdpcount.wasm")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "name: x\nneeds:\n  - {grant: xdp@eth0, why: packets}\n", `{"name": "x", "columns": [{"name": "A", "unit": "\u001b[2J"}]}`,
		"description: \"\\e[2J\\u202e\"", "needs: [{grant: 'kprobe:a*', why: \x1b]0;x\a}]", "limits: {memory: 4K, wall-time: none}",
		"params: [{name: a, type: duration, default: 1s, help: x}, {name: b}]\ncolumns: [{name: C, format: hex, width: 3, hidden: true}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, manifest []byte) {
		with, err := wasmfile.SetCustom(wasm, policy.ManifestSection, manifest)
		if err != nil {
			t.Skip(err)
		}
		in, err := inspect("x.wasm", with)
		if err != nil {
			t.Fatal(err)
		}
		if in.Manifest == nil || in.Manifest.Error != "" && len(in.Warnings) == 0 || len(in.Objects) != 1 {
			t.Fatalf("manifest %+v, %d objects", in.Manifest, len(in.Objects))
		}
		var b bytes.Buffer
		writeInspection(&b, in, style{}, 100)
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{b.String(), string(text)} {
			if i := strings.IndexFunc(out, func(r rune) bool {
				return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
			}); i >= 0 {
				t.Errorf("writes %q", out[i:min(i+20, len(out))])
			}
		}
	})
}

// Package conformance runs small guests against an engine and compares what
// happens, call by call, with the logs that are committed beside them. Two
// engines that pass behave alike for everything the project builds on.
//
// The guests are guests/*.wat with their .wasm; the logs are logs/*.log. After a
// change of a case, write the logs anew with
//
//	go test ./runtime/engine/wazero -run Conformance -conformance.update
//
// and read the difference: a log says what must happen, not what one engine does.
package conformance

import (
	"embed"
	"flag"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

//go:embed guests/*.wasm logs/*.log
var files embed.FS

var update = flag.Bool("conformance.update", false, "write the conformance logs anew")

// scenario is one use of guests, told by the host's side.
type scenario struct {
	name string
	run  func(*play)
}

// Run runs every guest twice: on a new engine with an empty cache directory, and
// on another one that finds what the first left there. newEngine is to use the
// directory as its compile cache if it has one, and to close the engine through
// t.Cleanup.
func Run(t *testing.T, newEngine func(t *testing.T, cacheDir string) engine.Engine) {
	t.Helper()
	all := scenarios()
	dir := t.TempDir()
	for _, pass := range []string{"cold", "warm"} {
		t.Run(pass, func(t *testing.T) {
			e := newEngine(t, dir)
			for _, s := range all {
				t.Run(s.name, func(t *testing.T) { check(t, e, s) })
			}
		})
	}
}

func scenarios() []scenario {
	var all []scenario
	for _, family := range [][]scenario{callScenarios, tableScenarios, memoryScenarios, endScenarios, startScenarios, wasiScenarios} {
		all = append(all, family...)
	}
	return all
}

// check plays one scenario and compares its log.
func check(t *testing.T, e engine.Engine, s scenario) {
	p := &play{t: t, engine: e}
	s.run(p)
	p.close()
	got := p.log.String()
	name := "logs/" + s.name + ".log"
	if *update {
		_, here, _, _ := goruntime.Caller(0)
		if err := os.WriteFile(filepath.Join(filepath.Dir(here), name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, name, got, string(want))
}

// compare shows the first line that differs with what led to it.
func compare(t *testing.T, name, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < len(g) && i < len(w) && g[i] == w[i] {
		i++
	}
	line := func(lines []string) string {
		if i < len(lines) {
			return lines[i]
		}
		return "(the end)"
	}
	t.Errorf("%s:%d differs\n got: %s\nwant: %s\nafter:\n%s", name, i+1, line(g), line(w), strings.Join(g[max(0, i-6):i], "\n"))
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/node"
)

func TestLinkerStampsTheVersion(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command in PATH")
	}
	bin := filepath.Join(t.TempDir(), appName)
	build := exec.Command(goTool, "build", "-buildvcs=false", "-ldflags", "-X main.release=v1.2.3", "-o", bin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := exec.Command(bin, "version").Output()
	if first, _, _ := strings.Cut(string(text), "\n"); err != nil || first != "bowline v1.2.3 (commit unknown)" {
		t.Errorf("got %q, %v", first, err)
	}
	out, err := exec.Command(bin, "version", "-o", "json").Output()
	var v versionInfo
	if err != nil || json.Unmarshal(out, &v) != nil || v.Version != "v1.2.3" || v.Commit != "" {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestVersionIsUnknownWithoutAStamp(t *testing.T) {
	defer func(was string) { release = was }(release)
	release = "unknown"
	if v := readVersion(); v.Version != unknownVersion {
		t.Errorf("got %q", v.Version)
	}
	text := string(versionText(versionInfo{Version: unknownVersion, Commit: "0123456789ab"}))
	if first, _, _ := strings.Cut(text, "\n"); first != "bowline version unknown (commit 0123456789ab)" {
		t.Errorf("got %q", first)
	}
}

// What "run -v" says comes from the engine; so must what "version" says.
func TestVersionAndRunAgreeOnTheEngine(t *testing.T) {
	for _, e := range readVersion().Engines {
		var stderr bytes.Buffer
		_, err := node.Run(t.Context(), node.RunOptions{
			File: "testdata/echo.wasm", Engine: e.Name, CacheDir: "off", Verbose: true, Stderr: &stderr,
		})
		if want := e.Name + " " + e.Version + " loaded"; err != nil || !strings.Contains(stderr.String(), want) {
			t.Errorf("got %q, %v, want %q", stderr.String(), err, want)
		}
	}
}

func TestEveryEngineSaysWhatMemoryIsNeeded(t *testing.T) {
	for _, name := range node.Engines() {
		_, err := node.Run(t.Context(), node.RunOptions{File: "testdata/load.wasm", Engine: name, CacheDir: "off", MemoryLimit: 64 << 10})
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		const want = "run load.wasm: needs 256 KiB of memory, the limit is 64 KiB; use --memory 256K or more"
		if got := runError("load.wasm", err).Error(); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// Each plugin of examples/ that the help shows takes the arguments that it shows: --help behind them ends it before it
// does anything, but not before it has looked at them.
func TestExamplesInTheHelpAreRight(t *testing.T) {
	a, tried := &app{}, 0
	for _, c := range a.tree().Commands {
		for line := range strings.Lines(c.UsageText) {
			line, _, _ = strings.Cut(line, "|")
			words := strings.Fields(line)
			cmd := a.tree().Command(words[0])
			if cmd == nil {
				t.Errorf("%q: no such command", line)
				continue
			}
			arranged, _, err := arrange(cmd, words[1:])
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
			i := slices.IndexFunc(arranged, func(w string) bool { return strings.HasSuffix(w, ".wasm") })
			if words[0] != "run" || i < 0 {
				continue
			}
			file := filepath.Join("../../examples", strings.TrimSuffix(arranged[i], ".wasm"), arranged[i])
			if _, err := os.Stat(file); err != nil {
				continue
			}
			tried++
			args := append(slices.DeleteFunc(arranged[i+1:], func(w string) bool { return w == "--" }), "--help")
			var stderr bytes.Buffer
			code, err := node.Run(t.Context(), node.RunOptions{File: file, Args: args, CacheDir: "off", Stderr: &stderr})
			if code != node.ExitOK || err != nil {
				t.Errorf("%q: code %d, %v: %s", line, code, err, stderr.String())
			}
		}
	}
	if tried < 2 {
		t.Errorf("only %d examples tried", tried)
	}
}

func TestProbeSaysHowMuchWorks(t *testing.T) {
	for want, yes := range map[string]int{
		"BPF works here.": 21, "BPF works here: 11 of 21 hooks.": 11, "BPF works here in part: 6 of 21 hooks.": 6,
	} {
		hooks := make([]kernel.ProbeFeature, 21)
		for i := range hooks {
			hooks[i].Answer = kernel.ProbeNo
			if i < yes {
				hooks[i].Answer = kernel.ProbeYes
			}
		}
		other := kernel.ProbeGroup{ID: "maps", Features: []kernel.ProbeFeature{{Answer: kernel.ProbeNo}}}
		if got := worksLine(&kernel.ProbeReport{Groups: []kernel.ProbeGroup{{ID: "hooks", Features: hooks}, other}}, style{}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// outputs fails as a list of errors says.
type outputs []error

func (o *outputs) Write(b []byte) (int, error) {
	err := (*o)[0]
	*o = (*o)[1:]
	return len(b), err
}

func TestPipeWriterRemembersTheFirstError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	w := &pipeWriter{file: &outputs{nil, unix.ENOSPC, unix.EIO, unix.EPIPE}, cancel: cancel}
	for range 3 {
		w.Write([]byte("x"))
	}
	if w.failure() != unix.ENOSPC || w.broken.Load() || ctx.Err() != nil {
		t.Errorf("got %v, broken %v, %v", w.failure(), w.broken.Load(), ctx.Err())
	}
	w.Write([]byte("x"))
	if w.failure() != unix.ENOSPC || !w.broken.Load() || ctx.Err() == nil {
		t.Errorf("after EPIPE: got %v, broken %v, %v", w.failure(), w.broken.Load(), ctx.Err())
	}
}

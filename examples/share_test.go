package examples_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// TestSharedMapStaysAsLongAsOnePluginHasIt runs two plugins: one writes, the other sees it; the writer ends, the other goes on; after
// both nothing is left, which kerneltest.Main looks after.
func TestSharedMapStaysAsLongAsOnePluginHasIt(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, engine := range node.Engines() {
		t.Run(engine, func(t *testing.T) {
			const name = "bowline-examples"
			writer := startShare(t, engine, "write", name)
			writer.await(t, "counting; shared as "+name)
			start(t, "exec sleep 0")
			reader := startShare(t, engine, "read", name, "--interval", "1")
			reader.await(t, "sleep")
			writer.end(t)
			before := strings.Count(reader.out.String(), "COMMAND")
			reader.awaitFunc(t, "another table", func(s string) bool { return strings.Count(s, "COMMAND") >= before+2 })
			reader.end(t)
			late := startShare(t, engine, "read", name)
			if code := late.wait(t); code != 1 || !strings.Contains(late.err.String(), "no process shares a map under this name") {
				t.Errorf("after both, opening the share ends with %d: %s", code, late.err.String())
			}
		})
	}
}

func TestShareNeedsEachLineOfItsPolicy(t *testing.T) {
	kerneltest.RequireRoot(t)
	box, _ := policyOf(t, "share")
	for i, l := range box.Allow {
		less := &policy.Policy{Allow: slices.Delete(slices.Clone(box.Allow), i, i+1)}
		var out, err output
		code, _ := node.Run(t.Context(), node.RunOptions{
			Policy: less, File: pluginFile("share"), Args: []string{"write", "bowline-examples"}, CacheDir: cache, Stdout: &out, Stderr: &err,
		})
		if code != node.ExitDenied {
			t.Errorf("without %q it ends with %d, want %d: %s", l.Grant, code, node.ExitDenied, err.String())
		}
	}
}

// running is a run of a plugin.
type running struct {
	out, err output
	stop     context.CancelFunc
	ended    chan struct{}
	code     int
}

func startShare(t *testing.T, engine string, args ...string) *running {
	t.Helper()
	return startPlugin(t, engine, "share", args...)
}

// startPlugin runs a plugin with its policy until it ends, or the test.
func startPlugin(t *testing.T, engine, plugin string, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &running{stop: stop, ended: make(chan struct{})}
	box, added := policyOf(t, plugin)
	go func() {
		defer close(s.ended)
		s.code, _ = node.Run(ctx, node.RunOptions{
			Policy: box, Allow: added, File: pluginFile(plugin), Args: args, Engine: engine, CacheDir: cache, Stdout: &s.out, Stderr: &s.err,
		})
	}()
	s.out.unready = func() { skipUnsupported(t, s.code, s.err.String()) }
	t.Cleanup(func() { stop(); <-s.ended })
	return s
}

func (s *running) await(t *testing.T, text string) {
	t.Helper()
	s.awaitFunc(t, text, func(out string) bool { return strings.Contains(out, text) })
}

func (s *running) awaitFunc(t *testing.T, what string, is func(string) bool) {
	t.Helper()
	s.out.await(t, s.ended, func(lines []string) string {
		if is(strings.Join(lines, "\n")) {
			return ""
		}
		return what
	})
}

// end stops the plugin as Ctrl-C does.
func (s *running) end(t *testing.T) {
	t.Helper()
	s.stop()
	if code := s.wait(t); code != node.ExitInterrupted {
		t.Errorf("the plugin ended with %d: %s", code, s.err.String())
	}
}

func (s *running) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatal("the plugin does not end")
	}
	return s.code
}

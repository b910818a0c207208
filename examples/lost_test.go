package examples_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// stuck is an output whose reader looks at the first line and then at nothing more until it is freed.
type stuck struct {
	output
	free chan struct{}
}

// Write implements [io.Writer].
func (s *stuck) Write(b []byte) (int, error) {
	if strings.Contains(s.String(), "\n") {
		<-s.free
	}
	return s.output.Write(b)
}

// lost is what a plugin says about records that had no room.
var lost = regexp.MustCompile(`(?m)^opensnoop: (\d+) records were lost$`)

// TestPluginsSayWhatWasLost lets opensnoop wait for the reader of its output while more files are opened than its ring buffer has room
// for: each of them is a line or is counted as lost.
func TestPluginsSayWhatWasLost(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, engine := range node.Engines() {
		t.Run(engine, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			out, ended := &stuck{free: make(chan struct{})}, make(chan struct{})
			var talk output
			go func() {
				defer close(ended)
				_, _ = node.Run(ctx, node.RunOptions{
					Allow: policy.Everything(), File: "opensnoop/opensnoop.wasm", Args: []string{"--pid", strconv.Itoa(os.Getpid())}, Engine: engine, CacheDir: cache,
					Stdout: out, Stderr: &talk,
				})
			}()
			t.Cleanup(func() { stop(); <-ended })
			out.await(t, ended, func(lines []string) string { return strings.Repeat("the heading", 1-min(len(lines), 1)) })
			const opens = 2000 // the ring buffer has room for 885 records
			file := filepath.Join(t.TempDir(), "missing")
			for range opens {
				open(t, file, 0, unix.ENOENT)
			}
			close(out.free)
			var n int
			out.await(t, ended, func(lines []string) string {
				n = strings.Count(strings.Join(lines, "\n"), file)
				for _, m := range lost.FindAllStringSubmatch(talk.String(), -1) {
					k, _ := strconv.Atoi(m[1]) // digits
					n += k
				}
				if n < opens {
					return "lines and losses of all files"
				}
				return ""
			})
			if !lost.MatchString(talk.String()) {
				t.Errorf("nothing is said to be lost, got %q", talk.String())
			}
		})
	}
}

package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// log is a writer that counts, and tells when something was dropped.
type log struct {
	mu      sync.Mutex
	bytes   int
	dropped chan struct{}
	once    sync.Once
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += len(b)
	if bytes.Contains(b, []byte("dropped")) {
		l.once.Do(func() { close(l.dropped) })
	}
	return len(b), nil
}

// A plugin that writes to its log without end takes neither memory nor the file, and another one in the same process goes on.
func TestALogFloodHarmsNobody(t *testing.T) {
	for _, engine := range Engines() {
		for what, arg := range map[string]string{"lines": "l", "one line": "o"} {
			t.Run(engine+", "+what, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				var before, after goruntime.MemStats
				goruntime.ReadMemStats(&before)
				flood := &log{dropped: make(chan struct{})}
				ended := make(chan error, 1)
				started := time.Now()
				go func() {
					_, err := Run(ctx, RunOptions{File: "testdata/logflood.wasm", Args: []string{arg}, Engine: engine, CacheDir: "off", Stderr: flood})
					ended <- err
				}()
				for range 5 {
					var out strings.Builder
					code, err := Run(t.Context(), RunOptions{
						File: "../cmd/bowline/testdata/echo.wasm", Args: []string{"here"}, Engine: engine, CacheDir: "off", Stdout: &out, Stderr: io.Discard,
					})
					if err != nil || !strings.Contains(out.String(), "here") {
						t.Errorf("the plugin beside it: %d, %v, output %q", code, err, out.String())
					}
				}
				if arg == "l" {
					<-flood.dropped
				}
				cancel(errors.New("enough"))
				if err := <-ended; err != nil {
					t.Errorf("the flood ended with %v", err)
				}
				took := time.Since(started)
				flood.mu.Lock()
				defer flood.mu.Unlock()
				// A thousand lines of 2 bytes or of 4 KiB a second, a second's worth at once, and what the host says.
				size := map[string]int{"l": 2, "o": maxPiece}[arg]
				if most := int(took.Seconds()+2)*1000*size + 64<<10; flood.bytes == 0 || flood.bytes > most {
					t.Errorf("the log has %d bytes after %s, want at most %d", flood.bytes, took, most)
				}
				goruntime.GC()
				goruntime.ReadMemStats(&after)
				if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
					t.Errorf("the heap grew by %d MiB", grown>>20)
				}
			})
		}
	}
}

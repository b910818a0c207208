package runtime_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// onLimitedEngines runs a test on every engine of this build, with limits.
func onLimitedEngines(t *testing.T, opts runtime.Options, test func(t *testing.T, rt *runtime.Runtime)) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			eng, err := open()
			if err != nil {
				t.Fatal(err)
			}
			opts := opts
			opts.Engine = eng
			rt, err := runtime.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := errors.Join(rt.Close(), eng.Close()); err != nil {
					t.Error(err)
				}
			})
			test(t, rt)
		})
	}
}

// wantLimit checks that an error is that of one limit, in one line that names it.
func wantLimit(t *testing.T, err error, limit, value string) {
	t.Helper()
	var l *engine.LimitError
	if !errors.As(err, &l) || !errors.Is(err, engine.ErrLimit) {
		t.Fatalf("got %v, want a LimitError", err)
	}
	if l.Limit != limit || l.Value != value {
		t.Errorf("the limit is %s %s, want %s %s", l.Limit, l.Value, limit, value)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "run --limit "+limit+"=N") && limit != "total instances" {
		t.Errorf("the text %q is not one line that names the limit", text)
	}
}

func TestATableThatStartsTooLargeIsRefusedWithoutMemory(t *testing.T) {
	wasm, err := os.ReadFile("testdata/table_bomb.wasm")
	if err != nil {
		t.Fatal(err)
	}
	onLimitedEngines(t, runtime.Options{TableLimit: 65536}, func(t *testing.T, rt *runtime.Runtime) {
		_, err := rt.Load(t.Context(), "table_bomb", wasm)
		wantLimit(t, err, "table", "65536")
	})
	onLimitedEngines(t, runtime.Options{TableLimit: 1 << 31}, func(t *testing.T, rt *runtime.Runtime) {
		_, err := rt.Load(t.Context(), "table_bomb", wasm)
		wantLimit(t, err, "table", "1048576")
	})
}

func TestTablesGrowToTheLimitTogether(t *testing.T) {
	for _, c := range []struct{ limit, want uint32 }{{1000, 999}, {35, 35}, {65536, 65535}, {0, runtime.DefaultTableLimit - 1}} {
		onLimitedEngines(t, runtime.Options{TableLimit: c.limit}, func(t *testing.T, rt *runtime.Runtime) {
			code, err := load(t, rt, "table_grow").Run(t.Context(), runtime.Config{})
			if code != c.want || err != nil {
				t.Errorf("with a limit of %d the tables grew to %d elements together, %v; want %d", c.limit, code, err, c.want)
			}
		})
	}
}

func TestMemoryGrowsToTheLimit(t *testing.T) {
	onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
		m := load(t, rt, "memory_grow")
		for limit, want := range map[uint64]uint32{64 << 10: 1, 8<<20 + 12345: 128, 64 << 20: 1024, 4 << 30: 65535} {
			code, err := m.Run(t.Context(), runtime.Config{MemoryLimit: limit})
			if code != want || err != nil {
				t.Errorf("with a limit of %d bytes the memory grew to %d pages, %v; want %d", limit, code, err, want)
			}
		}
		_, err := m.Run(t.Context(), runtime.Config{MemoryLimit: 1000})
		if !errors.Is(err, engine.ErrLimit) {
			t.Errorf("a memory that starts above the limit: %v, want ErrLimit", err)
		}
	})
}

func TestInstancesAtATimeAreLimited(t *testing.T) {
	for name, c := range map[string]struct {
		opts        runtime.Options
		limit       string
		anotherRuns bool // beside it, of another module
	}{
		"of one module":  {runtime.Options{InstanceLimit: 1}, "instances", true},
		"of all modules": {runtime.Options{InstanceLimit: 2, TotalInstances: 1}, "total instances", false},
	} {
		t.Run(name, func(t *testing.T) {
			onLimitedEngines(t, c.opts, func(t *testing.T, rt *runtime.Runtime) {
				m, other := load(t, rt, "cat"), load(t, rt, "reactor")
				r, w := io.Pipe()
				ended := make(chan error, 1)
				up := make(chan struct{})
				go func() {
					_, err := m.Run(t.Context(), runtime.Config{Stdin: r, Stdout: &signalWriter{up: up}})
					ended <- err
				}()
				if _, err := w.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				<-up
				_, err := m.Run(t.Context(), runtime.Config{})
				wantLimit(t, err, c.limit, "1")
				if _, err := other.Run(t.Context(), runtime.Config{}); (err == nil) != c.anotherRuns {
					t.Errorf("an instance of another module: %v", err)
				}
				w.Close()
				if err := <-ended; err != nil {
					t.Errorf("the instance that ran: %v", err)
				}
				if _, err := m.Run(t.Context(), runtime.Config{Stdin: strings.NewReader("")}); err != nil {
					t.Errorf("an instance after that one ended: %v", err)
				}
			})
		})
	}
}

// signalWriter tells of the first write.
type signalWriter struct {
	once sync.Once
	up   chan struct{}
}

func (s *signalWriter) Write(b []byte) (int, error) {
	s.once.Do(func() { close(s.up) })
	return len(b), nil
}

func TestOpenFilesAreLimited(t *testing.T) {
	onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
		m := load(t, rt, "files")
		for _, limit := range []int{20, 300} {
			code, err := m.Run(t.Context(), runtime.Config{MaxFiles: limit, Dirs: []engine.Dir{{Host: t.TempDir(), Guest: "/"}}})
			if least, most := uint32(limit), uint32(limit+2); code < least || code > most || err != nil {
				t.Errorf("with a limit of %d files it opened %d, %v; two of them after it had closed one", limit, code, err)
			}
		}
	})
}

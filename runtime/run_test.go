package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bowline-edge/bowline/hostfuncs/wasmbpf"
	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is when a test gives up on a guest that should have ended.
const deadline = 20 * time.Second

// onEngines runs a test on every engine of this build.
func onEngines(t *testing.T, test func(t *testing.T, rt *runtime.Runtime)) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			eng, err := open()
			if err != nil {
				t.Fatal(err)
			}
			rt, err := runtime.New(runtime.Options{Engine: eng, Providers: []engine.Provider{wasmbpf.Provider{}}})
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

func load(t *testing.T, rt *runtime.Runtime, name string) *runtime.Module {
	t.Helper()
	wasm, err := os.ReadFile("testdata/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	m, err := rt.Load(t.Context(), name, wasm)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheExitCodeIsThePlugins(t *testing.T) {
	onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
		var out bytes.Buffer
		code, err := load(t, rt, "cat").Run(t.Context(), runtime.Config{Stdin: strings.NewReader("hello"), Stdout: &out})
		if code != 7 || err != nil || out.String() != "hello" {
			t.Errorf("cat = %d, %v with output %q; want 7 and hello", code, err, out.String())
		}
		if code, err := load(t, rt, "reactor").Run(t.Context(), runtime.Config{}); code != 3 || err != nil {
			t.Errorf("reactor = %d, %v; want 3", code, err)
		}
	})
}

func TestWhatCannotRun(t *testing.T) {
	for name, want := range map[string]string{
		"trap":        engine.TrapUnreachable,
		"library":     "neither _start nor _initialize",
		"wrong_start": "_start has type (i32) -> i32",
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
				_, err := load(t, rt, name).Run(t.Context(), runtime.Config{})
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("run: %v, want one line with %q", err, want)
				}
			})
		})
	}
}

// stopWhenUp runs a plugin that says when it is up, and stops it then.
func stopWhenUp(t *testing.T, rt *runtime.Runtime, name string, cfg runtime.Config) (uint32, error) {
	t.Helper()
	m := load(t, rt, name)
	r, w := io.Pipe()
	cfg.Stdout = w
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		_, _ = r.Read(make([]byte, 16))
		cancel(why)
		_, _ = io.Copy(io.Discard, r)
	}()
	type result struct {
		code uint32
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		code, err := m.Run(ctx, cfg)
		w.Close()
		ended <- result{code, err}
	}()
	select {
	case r := <-ended:
		if !errors.Is(r.err, why) {
			t.Errorf("run: %v, want the cause of the stop", r.err)
		}
		return r.code, r.err
	case <-time.After(deadline):
		t.Fatal("the plugin did not stop")
		return 0, nil
	}
}

func TestStopEndsWhateverThePluginDoes(t *testing.T) {
	for _, name := range []string{"spin", "sleep", "flood"} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
				code, _ := stopWhenUp(t, rt, name, runtime.Config{Grace: 50 * time.Millisecond})
				if name == "sleep" && code != 5 {
					t.Errorf("the plugin exited with %d, want its own 5: it had time to end by itself", code)
				}
			})
		})
	}
}

func TestStopEndsAReadFromStandardInput(t *testing.T) {
	onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
		in, feed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		defer feed.Close()
		if _, err := feed.WriteString("up"); err != nil {
			t.Fatal(err)
		}
		if code, _ := stopWhenUp(t, rt, "cat", runtime.Config{Stdin: in}); code != 7 {
			t.Errorf("the plugin exited with %d, want its own 7", code)
		}
	})
}

func TestAPluginStuckInAWriteDoesNotHoldTheCaller(t *testing.T) {
	onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
		m := load(t, rt, "flood")
		r, w := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, _ = r.Read(make([]byte, 1))
			cancel() // and nobody reads on
		}()
		_, err := m.Run(ctx, runtime.Config{Stdout: w, Grace: 20 * time.Millisecond})
		if !errors.Is(err, runtime.ErrStuck) {
			t.Errorf("run: %v, want ErrStuck", err)
		}
		r.Close() // the write returns, and the guest is unwound
		m.Wait()
	})
}

func TestLoadRefusesWhatNobodyProvides(t *testing.T) {
	for name, want := range map[string]string{
		"typo":         "the closest is wasm_bpf.wasm_load_bpf_object",
		"other_type":   "declared as (i32) -> i32, but the host has (i32, i32) -> i64",
		"foreign":      "nobody provides env.emscripten_resize_heap",
		"wants_memory": "memory env.memory",
		"preview2":     "wasm32-wasip1",
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
				wasm, err := os.ReadFile("testdata/" + name + ".wasm")
				if err != nil {
					t.Fatal(err)
				}
				_, err = rt.Load(t.Context(), name, wasm)
				if !errors.Is(err, runtime.ErrImport) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("load: %v, want one line with %q", err, want)
				}
			})
		})
	}
}

func TestLoadRefusesWhatIsNoModule(t *testing.T) {
	good, err := os.ReadFile("testdata/cat.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for name, wasm := range map[string][]byte{
		"empty":     nil,
		"text":      []byte("(module)"),
		"ELF":       []byte("\x7fELF\x02\x01\x01"),
		"component": []byte("\x00asm\x0d\x00\x01\x00"),
		"version 2": []byte("\x00asm\x02\x00\x00\x00"),
		"truncated": good[:len(good)/2],
		"cut short": good[:len(good)-1],
		"bad code":  bytes.Replace(good, []byte("\x28\x02"), []byte("\x2a\x02"), 1), // an f32.load where an i32 is wanted
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
				_, err := rt.Load(t.Context(), name, wasm)
				if !errors.Is(err, engine.ErrInvalid) || strings.Contains(err.Error(), "\n") {
					t.Errorf("load: %v, want one line that matches ErrInvalid", err)
				}
			})
		})
	}
}

package runtime_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

func TestEndlessRecursionEndsSoon(t *testing.T) {
	for _, name := range []string{"recurse", "recurse_mutual", "recurse_indirect"} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
				m := load(t, rt, name)
				start := time.Now()
				_, err := m.Run(t.Context(), runtime.Config{})
				took := time.Since(start)
				if !errors.Is(err, runtime.ErrTooDeep) || !errors.Is(err, engine.ErrLimit) {
					t.Fatalf("run: %v, want %v", err, runtime.ErrTooDeep)
				}
				if !strings.HasPrefix(err.Error(), "the plugin's calls are nested too deeply; ") {
					t.Errorf("the text is %q", err)
				}
				t.Logf("after %v", took)
				if took > time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// used runs a plugin with some fuel and gives its output and what it has used.
func used(t *testing.T, rt *runtime.Runtime, fuel uint64) (string, uint64, error) {
	t.Helper()
	var out bytes.Buffer
	var u runtime.Usage
	_, err := load(t, rt, "work").Run(t.Context(), runtime.Config{Stdout: &out, Fuel: fuel, Usage: &u})
	return out.String(), u.Fuel, err
}

// What a plugin does before its fuel is used up is the same on every engine, in
// both builds, and on every machine: so the numbers here are constants.
func TestFuelIsTheSameEverywhere(t *testing.T) {
	const all = 59098921
	onEngines(t, func(t *testing.T, rt *runtime.Runtime) {
		whole, n, err := used(t, rt, 0)
		if err != nil || len(whole) != 1000 || n != all {
			t.Fatalf("without a limit: %d letters, %d units, %v; want 1000, %d", len(whole), n, err, all)
		}
		for _, c := range []struct {
			fuel, used uint64
			letters    int
		}{{1, 9, 0}, {5000, 5001, 8}, {1_000_000, 1_000_001, 213}} {
			out, n, err := used(t, rt, c.fuel)
			if !errors.Is(err, runtime.ErrFuel) || !errors.Is(err, engine.ErrLimit) {
				t.Fatalf("fuel %d: %v, want %v", c.fuel, err, runtime.ErrFuel)
			}
			if n != c.used || len(out) != c.letters || !strings.HasPrefix(whole, out) {
				t.Errorf("fuel %d: used %d, wrote %d letters, want %d and %d", c.fuel, n, len(out), c.used, c.letters)
			}
		}
		if out, n, err := used(t, rt, all); err != nil || out != whole || n != all {
			t.Errorf("with just enough: %d letters, %d units, %v", len(out), n, err)
		}
	})
}

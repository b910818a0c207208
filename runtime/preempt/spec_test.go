package preempt_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/bowline-edge/bowline/runtime/preempt"
)

// command is one line of a script of the core specification's tests.
type command struct {
	Type, Filename, Name, As string
	Line                     int
	ModuleType               string `json:"module_type"`
	Action                   struct {
		Type, Field, Module string
		Args                []struct {
			Type     string
			LaneType string `json:"lane_type"`
			Value    any
		}
	}
}

// words gives the arguments of an action as the engine takes them.
func (c *command) words(t *testing.T) (stack []uint64) {
	for _, a := range c.Action.Args {
		switch v := a.Value.(type) {
		case string:
			if v == "null" {
				stack = append(stack, 0)
				continue
			}
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if a.Type == "externref" {
				n++
			}
			stack = append(stack, n)
		case []any: // the lanes of a v128
			bits := 128 / len(v)
			var words [2]uint64
			for i, lane := range v {
				n, err := strconv.ParseUint(lane.(string), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				words[i*bits/64] |= n << (i * bits % 64)
			}
			stack = append(stack, words[:]...)
		}
	}
	return stack
}

// side runs one half of a script: the modules as they are, or rewritten.
type side struct {
	*host
	last  api.Module
	named map[string]api.Module
}

func newSide(t *testing.T, spectest []byte) *side {
	s := &side{host: newHost(t, 0), named: map[string]api.Module{}}
	s.instance(t, spectest, "spectest")
	return s
}

func (s *side) load(t *testing.T, wasm []byte, name, as string) error {
	m, err := s.InstantiateWithConfig(t.Context(), wasm, wazero.NewModuleConfig().WithName(as).WithStartFunctions())
	if err != nil {
		return err
	}
	s.last = m
	if name != "" {
		s.named[name] = m
	}
	return nil
}

func (s *side) module(name string) api.Module {
	if name == "" {
		return s.last
	}
	return s.named[name]
}

// act performs an action and gives its results.
func (s *side) act(t *testing.T, c *command) ([]uint64, error) {
	m := s.module(c.Action.Module)
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	f := m.ExportedFunction(c.Action.Field)
	return f.Call(t.Context(), c.words(t)...)
}

// TestSpecification runs the test suite of the core specification, as far as
// wazero's module has it, in two engines side by side: every module as it is in
// one and rewritten in the other. Both must accept, answer and trap alike.
func TestSpecification(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(dir)), "internal", "integration_test", "spectest")
	scripts, err := filepath.Glob(filepath.Join(root, "*", "testdata", "*.json"))
	if err != nil || len(scripts) == 0 {
		t.Skipf("wazero's module has no test suite: %v", err)
	}
	spectest := read(t, filepath.Join(root, "testdata", "spectest.wasm"))
	for _, file := range scripts {
		suite := filepath.Base(filepath.Dir(filepath.Dir(file)))
		switch suite {
		case "v2", "tail-call", "extended-const", "threads":
			t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				t.Parallel()
				runScript(t, file, spectest)
			})
		}
	}
}

func runScript(t *testing.T, file string, spectest []byte) {
	var script struct{ Commands []command }
	if err := json.Unmarshal(read(t, file), &script); err != nil {
		t.Fatal(err)
	}
	was, is := newSide(t, spectest), newSide(t, spectest)
	is.interval = 7
	for i, c := range script.Commands {
		as := ""
		if i+1 < len(script.Commands) && script.Commands[i+1].Type == "register" {
			as = script.Commands[i+1].As
		}
		switch c.Type {
		case "module", "assert_unlinkable", "assert_uninstantiable", "assert_invalid", "assert_malformed":
			if strings.HasSuffix(c.Filename, ".wat") {
				continue
			}
			wasm, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			wantErr := was.load(t, wasm, c.Name, as)
			out, err := preempt.Rewrite(wasm, preempt.Options{})
			if err == nil {
				err = is.load(t, out, c.Name, as)
			}
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("line %d: %s: rewritten: %v; original: %v", c.Line, c.Filename, err, wantErr)
			}
		case "register": // the name was given to the module before
		case "assert_exhaustion":
			if _, err := is.act(t, &c); !errors.Is(err, errOverflow) {
				t.Fatalf("line %d: endless recursion ends with %v", c.Line, err)
			}
			// The depth is not put back: go on with a new instance.
			return
		case "action", "assert_return", "assert_trap":
			want, wantErr := was.act(t, &c)
			got, err := is.act(t, &c)
			if !sameEnd(err, wantErr) {
				t.Fatalf("line %d: %s: rewritten: %v; original: %v", c.Line, c.Action.Field, err, wantErr)
			}
			if !slices.Equal(got, want) && !references(was, &c) {
				t.Fatalf("line %d: %s: rewritten %#x, original %#x", c.Line, c.Action.Field, got, want)
			}
		default:
			t.Fatalf("line %d: unknown command %s", c.Line, c.Type)
		}
	}
	if is.yields > 0 {
		t.Logf("%d yields", is.yields)
	}
}

// references tells whether the results of an action are references to functions,
// which are addresses and differ.
func references(s *side, c *command) bool {
	if c.Action.Type == "get" {
		return false
	}
	for _, v := range s.module(c.Action.Module).ExportedFunction(c.Action.Field).Definition().ResultTypes() {
		if v == 0x70 {
			return true
		}
	}
	return false
}

// sameEnd compares two errors without the stack traces.
func sameEnd(a, b error) bool {
	line := func(err error) string {
		if err == nil {
			return ""
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		return first
	}
	return line(a) == line(b)
}

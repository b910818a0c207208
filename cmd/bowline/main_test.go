package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bowline-edge/bowline/node"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){appName: main})
}

func TestScripts(t *testing.T) {
	samples, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("SAMPLES", samples)
			e.Setenv("EXAMPLES", filepath.Join(samples, "../../../examples"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			return cond == "root" && os.Geteuid() == 0 || cond == "wasmtime" && slices.Contains(node.Engines(), cond), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"embed": embed,
			"cut":   cut,
			"patch": patch,
			"zeros": zeros,
		},
	})
}

// embed adds sections with files to a module: embed OUT IN (data FILE | object FILE | custom NAME FILE)...
// data is a passive data segment; object lies at address 65536 when the module runs, with its length at 65532.
func embed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: embed OUT IN (data FILE | object FILE | custom NAME FILE)...")
	}
	out := []byte(ts.ReadFile(args[1]))
	for rest := args[2:]; len(rest) > 0; {
		switch rest[0] {
		case "data":
			b := []byte(ts.ReadFile(rest[1]))
			segment := slices.Concat([]byte{1, 1}, leb(len(b)), b) // one passive segment
			out = slices.Concat(out, []byte{11}, leb(len(segment)), segment)
			rest = rest[2:]
		case "object":
			b := []byte(ts.ReadFile(rest[1]))
			active := func(address int, content []byte) []byte {
				return slices.Concat([]byte{0, 0x41}, sleb(address), []byte{0x0b}, leb(len(content)), content)
			}
			segments := slices.Concat([]byte{2},
				active(65532, binary.LittleEndian.AppendUint32(nil, uint32(len(b)))), active(65536, b))
			out = slices.Concat(out, []byte{11}, leb(len(segments)), segments)
			rest = rest[2:]
		case "custom":
			section := slices.Concat(leb(len(rest[1])), []byte(rest[1]), []byte(ts.ReadFile(rest[2])))
			out = slices.Concat(out, []byte{0}, leb(len(section)), section)
			rest = rest[3:]
		default:
			ts.Fatalf("embed: %q is no kind of section", rest[0])
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o644))
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// sleb encodes a signed number between 2^14 and 2^20.
func sleb(n int) []byte { return []byte{byte(n)&0x7f | 0x80, byte(n>>7)&0x7f | 0x80, byte(n >> 14)} }

// cut keeps the first bytes of a file: cut OUT IN SIZE.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile(args[1]))[:n], 0o644))
}

// patch changes one byte of a file: patch OUT IN OFFSET VALUE.
func patch(ts *testscript.TestScript, _ bool, args []string) {
	b := []byte(ts.ReadFile(args[1]))
	at, err := strconv.Atoi(args[2])
	ts.Check(err)
	value, err := strconv.ParseUint(args[3], 0, 8)
	ts.Check(err)
	b[at] = byte(value)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// zeros makes a file of so many bytes without writing them: zeros OUT SIZE.
func zeros(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(f.Truncate(n))
	ts.Check(f.Close())
}

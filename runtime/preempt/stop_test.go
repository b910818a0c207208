package preempt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/runtime/preempt"
)

// module assembles a module whose exported function "f" of type () -> () has
// that body; further bodies are functions 1, 2, ... of the same type. There are a
// table with all of them and a memory. Every function has two locals of type i32.
func module(bodies ...[]byte) []byte {
	sec := func(id byte, content ...byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(content))), content...)
	}
	n := byte(len(bodies))
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, sec(1, 1, 0x60, 0, 0)...)
	m = append(m, sec(3, append([]byte{n}, make([]byte, n)...)...)...)
	m = append(m, sec(4, 1, 0x70, 0, n)...)
	m = append(m, sec(5, 1, 0, 16)...)
	m = append(m, sec(7, 1, 1, 'f', 0, 0)...)
	elem := []byte{1, 0, 0x41, 0, 0x0b, n}
	for i := range n {
		elem = append(elem, i)
	}
	m = append(m, sec(9, elem...)...)
	code := []byte{n}
	for _, b := range bodies {
		code = binary.AppendUvarint(code, uint64(len(b)+4))
		code = append(append(code, 1, 2, 0x7f), b...)
		code = append(code, 0x0b)
	}
	return append(m, sec(10, code...)...)
}

// counting is a loop that counts local 0 from start by step to end, which ends by
// itself unless first, or more behind the branch back, sees to it that it does not.
func counting(start, step, end byte, first []byte, more ...byte) []byte {
	b := append([]byte{0x41, start, 0x21, 0, 0x03, 0x40}, first...)
	b = append(b, 0x20, 0, 0x41, step, 0x6a, 0x22, 0, 0x41, end, 0x47, 0x0d, 0)
	return append(append(b, more...), 0x0b)
}

// endless are functions that never return by themselves.
var endless = []struct {
	name   string
	bodies [][]byte
}{
	{"empty loop", [][]byte{{0x03, 0x40, 0x0c, 0, 0x0b}}},
	{"loop over a condition", [][]byte{{0x03, 0x40, 0x41, 1, 0x0d, 0, 0x0b}}},
	{"loop over br_table", [][]byte{{0x03, 0x40, 0x41, 7, 0x0e, 1, 0, 0, 0x0b}}},
	{"loop over the label of an outer loop", [][]byte{{0x03, 0x40, 0x02, 0x40, 0x0c, 1, 0x0b, 0x0b}}},
	{"two loops", [][]byte{{0x03, 0x40, 0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0c, 1, 0x0b, 0x0b}}},
	{"loop with a call", [][]byte{{0x03, 0x40, 0x10, 1, 0x0c, 0, 0x0b}, {}}},
	{"loop that fills memory", [][]byte{{0x03, 0x40, 0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x3c, 0xfc, 11, 0, 0x0c, 0, 0x0b}}},
	{"loop that counts past its end", [][]byte{counting(0, 2, 5, nil)}},
	{"loop that counts and goes back twice", [][]byte{counting(0, 1, 5, nil, 0x0c, 0)}},
	{"loop that sets what it counts with", [][]byte{counting(0, 1, 5, []byte{0x41, 0, 0x21, 0})}},
	{"loop in which a loop sets it", [][]byte{counting(0, 1, 5, []byte{0x03, 0x40, 0x41, 0, 0x22, 0, 0x0d, 0, 0x0b})}},
	{"loop that goes back before it counts", [][]byte{counting(0, 1, 5, []byte{0x41, 1, 0x0d, 0})}},
	{"loop that goes back over br_table", [][]byte{counting(0, 1, 5, []byte{0x41, 0, 0x0e, 0, 0})}},
	{"loop that goes back from a block", [][]byte{counting(0, 1, 5, []byte{0x02, 0x40, 0x0c, 1, 0x0b})}},
	{"loop that counts in a block", [][]byte{{0x41, 0, 0x21, 0, 0x03, 0x40,
		0x02, 0x40, 0x41, 1, 0x0d, 0, 0x20, 0, 0x41, 1, 0x6a, 0x21, 0, 0x0b, 0x20, 0, 0x41, 5, 0x47, 0x0d, 0, 0x0b}}},
	{"loop around one that counts", [][]byte{append(append([]byte{0x03, 0x40}, counting(0, 1, 5, nil)...), 0x0c, 0, 0x0b)}},
	{"tail call of itself", [][]byte{{0x12, 0}}},
	{"tail call through the table", [][]byte{{0x41, 0, 0x13, 0, 0}}},
	{"tail calls of each other", [][]byte{{0x12, 1}, {0x12, 0}}},
}

// recursions end only by their depth.
var recursions = []struct {
	name   string
	bodies [][]byte
}{
	{"recursion", [][]byte{{0x10, 0}}},
	{"mutual recursion", [][]byte{{0x10, 1}, {0x10, 2}, {0x10, 0}}},
	{"recursion through the table", [][]byte{{0x41, 1, 0x11, 0, 0}, {0x41, 0, 0x11, 0, 0}}},
	{"recursion and table", [][]byte{{0x10, 1}, {0x41, 0, 0x11, 0, 0}}},
	{"recursion in a block", [][]byte{{0x02, 0x40, 0x41, 1, 0x0d, 0, 0x0f, 0x0b, 0x10, 0}}},
}

func TestEndlessGuestsEndAtAYield(t *testing.T) {
	for _, g := range append(endless[:len(endless):len(endless)], recursions...) {
		t.Run(g.name, func(t *testing.T) {
			h := newHost(t, 5)
			h.interval = 1000
			m := h.instance(t, rewrite(t, module(g.bodies...), preempt.Options{}), "")
			if _, err := m.ExportedFunction("f").Call(t.Context()); !errors.Is(err, errStopped) {
				t.Fatalf("got %v, want %v", err, errStopped)
			}
			if h.yields != 5 {
				t.Fatalf("%d yields, want 5", h.yields)
			}
		})
	}
}

func TestRecursionEndsAtTheDepth(t *testing.T) {
	for _, g := range recursions {
		t.Run(g.name, func(t *testing.T) {
			h := newHost(t, 0)
			m := h.instance(t, rewrite(t, module(g.bodies...), preempt.Options{MaxDepth: 1000}), "")
			if _, err := m.ExportedFunction("f").Call(t.Context()); !errors.Is(err, errOverflow) {
				t.Fatalf("got %v, want %v", err, errOverflow)
			}
		})
	}
}

// Tail calls and returns give their level back.
func TestDepthIsBalanced(t *testing.T) {
	h := newHost(t, 50)
	h.interval = 100
	for _, g := range endless {
		m := h.instance(t, rewrite(t, module(g.bodies...), preempt.Options{MaxDepth: 3}), "")
		h.yields = 0
		if _, err := m.ExportedFunction("f").Call(t.Context()); !errors.Is(err, errStopped) {
			t.Errorf("%s: got %v, want %v", g.name, err, errStopped)
		}
	}
	h.stopAfter = 0
	// f calls 1, which returns in a block or falls out of it, over and over.
	returns := module(
		[]byte{0x02, 0x40, 0x10, 1, 0x10, 1, 0x0b, 0x41, 0, 0x04, 0x40, 0x10, 0, 0x0b, 0x0f},
		[]byte{0x02, 0x40, 0x41, 1, 0x04, 0x40, 0x0f, 0x0b, 0x10, 0, 0x0b})
	m := h.instance(t, rewrite(t, returns, preempt.Options{MaxDepth: 3}), "")
	for range 100 {
		if _, err := m.ExportedFunction("f").Call(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBulkInstructionsCountWhatTheyMove(t *testing.T) {
	// One fill of 960 KiB has to yield, although it is no loop.
	fill := module([]byte{0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x3c, 0xfc, 11, 0})
	h := newHost(t, 0)
	h.interval = 900
	m := h.instance(t, rewrite(t, fill, preempt.Options{}), "")
	for want := 1; want < 4; want++ {
		if _, err := m.ExportedFunction("f").Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.yields != want {
			t.Fatalf("%d yields, want %d", h.yields, want)
		}
	}
}

// A loop that counts from a constant to another is charged before it starts.
func TestFixedRoundsAreCountedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name             string
		start, step, end byte
		first            []byte
		want             int64
	}{
		{"up", 0, 1, 60, nil, 31},
		{"down to zero", 60, 0x7f, 0, nil, 31},
		{"by four", 0, 4, 60, nil, 8},
		{"with two in it", 0, 1, 60, []byte{0x41, 0, 0x21, 1, 0x03, 0x40, 0x20, 1, 0x41, 1, 0x6a, 0x22, 1, 0x41, 9, 0x47, 0x0d, 0, 0x0b}, 312},
		{"with a call", 0, 1, 60, []byte{0x10, 1}, 121}, // counted in each round
	} {
		h := newHost(t, 10)
		m := h.instance(t, rewrite(t, module(counting(c.start, c.step, c.end, c.first), []byte{}), preempt.Options{}), "")
		if _, err := m.ExportedFunction("f").Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, err := m.ExportedFunction(preempt.ExportLeft).Call(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.settle(left[0])
		if h.used != c.want {
			t.Errorf("%s: %d units, want %d", c.name, h.used, c.want)
		}
	}
}

// However much work a function does that is counted at once, it is looked at the budget in the midst of it.
func TestNoFunctionWorksForLongWithoutACheck(t *testing.T) {
	leaf := bytes.Repeat([]byte{0x41, 0, 0x1a}, 1000)
	work := counting(0, 1, 60, nil)
	for _, c := range []struct {
		name string
		f    []byte
		want int
	}{
		{"calls in a loop", counting(0, 1, 60, []byte{0x10, 1}), 60 * 2000 / 16 / 100 / 2},
		{"calls in a row", bytes.Repeat([]byte{0x10, 1}, 60), 60 * 2000 / 16 / 100 / 2},
		{"many loops", bytes.Repeat(work, 6000), 6000 * 60 * 8 / 2 / 16 / 100 / 2},
	} {
		h := newHost(t, 0)
		h.interval = 100
		m := h.instance(t, rewrite(t, module(c.f, leaf), preempt.Options{}), "")
		if _, err := m.ExportedFunction("f").Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.yields < c.want {
			t.Errorf("%s: %d yields, want at least %d", c.name, h.yields, c.want)
		}
	}
}

// A call of the host may take long, and between two calls in a row nothing is checked.
func TestTooManyCallsInARowAreRefused(t *testing.T) {
	for _, n := range []int{100_000, 140_000, 700_000} { // the last ones are more than 32 bits
		body := append([]byte{0}, bytes.Repeat([]byte{0x10, 0}, n)...)
		body = append(body, 0x0b)
		code := append(binary.AppendUvarint([]byte{1}, uint64(len(body))), body...)
		m := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02\x07\x01\x01e\x01f\x00\x00\x03\x02\x01\x00\x0a")
		m = append(binary.AppendUvarint(m, uint64(len(code))), code...)
		_, err := preempt.Rewrite(m, preempt.Options{})
		if refused := n > 130_000; errors.Is(err, preempt.ErrTooLarge) != refused {
			t.Errorf("%d calls: %v, want refused: %t", n, err, refused)
		}
	}
}

func TestGoProgramBehavesAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	src := `package main

import ("fmt"; "os"; "sort"; "strings")

func main() {
	words := strings.Fields("the quick brown fox jumps over the lazy dog")
	sort.Strings(words)
	done := make(chan int)
	go func() { n := 0; for i := range 1000000 { n += i % 7 }; done <- n }()
	fmt.Println("hello", words, os.Args, <-done)
	defer func() { fmt.Println("recovered", recover()); os.Exit(7) }()
	var m map[string]int
	m["x"] = 1
}
`
	wasm := goProgram(t, src)
	var outputs [2]string
	for i, b := range [][]byte{wasm, rewrite(t, wasm, preempt.Options{MaxDepth: 10000})} {
		outputs[i] = runWASI(t, b)
	}
	if outputs[0] != outputs[1] || outputs[0] == "" {
		t.Fatalf("original:\n%s\nrewritten:\n%s", outputs[0], outputs[1])
	}
	t.Logf("%d bytes, rewritten %d: %s", len(wasm), len(rewrite(t, wasm, preempt.Options{})), outputs[0])
}

func TestOutputIsDeterministic(t *testing.T) {
	src := read(t, "testdata/kernels.wasm")
	first := rewrite(t, src, preempt.Options{MaxDepth: 100})
	for range 5 {
		if !bytes.Equal(rewrite(t, bytes.Clone(src), preempt.Options{MaxDepth: 100}), first) {
			t.Fatal("two runs give different bytes")
		}
	}
}

func TestRewritingTwiceIsRefused(t *testing.T) {
	out := rewrite(t, module([]byte{0x10, 0}), preempt.Options{})
	if _, err := preempt.Rewrite(out, preempt.Options{}); !errors.Is(err, preempt.ErrReserved) {
		t.Fatalf("got %v, want %v", err, preempt.ErrReserved)
	}
}

func TestModuleWithoutCodeStaysAsItIs(t *testing.T) {
	for _, m := range [][]byte{[]byte("\x00asm\x01\x00\x00\x00"), module([]byte{0x01}), module([]byte{}, []byte{0x41, 1, 0x1a})} {
		if out := rewrite(t, m, preempt.Options{MaxDepth: 5}); !bytes.Equal(out, m) {
			t.Errorf("% x became % x", m, out)
		}
	}
}

func TestErrorsSayWhatTheFileIs(t *testing.T) {
	for _, c := range []struct {
		in   string
		want error
	}{
		{"", wasmfile.ErrNotWasm},
		{"(module)", wasmfile.ErrNotWasm},
		{"\x00asm\x0d\x00\x01\x00", wasmfile.ErrComponent},
		{"\x00asm\x01\x00\x00\x00\x0a\x05\x01", wasmfile.ErrMalformed},
	} {
		if _, err := preempt.Rewrite([]byte(c.in), preempt.Options{}); !errors.Is(err, c.want) {
			t.Errorf("%q: got %v, want %v", c.in, err, c.want)
		}
	}
}

// Our globals, locals, functions and labels are out of the guest's reach: what
// named nothing before names nothing afterwards.
func TestInvalidIndicesStayInvalid(t *testing.T) {
	for name, body := range map[string][]byte{
		"budget":   {0x41, 1, 0x24, 0, 0x10, 0},
		"local":    {0x41, 1, 0x21, 2, 0x10, 0},
		"function": {0x10, 1},
		"label":    {0x02, 0x40, 0x0c, 2, 0x0b, 0x10, 0},
		"type":     {0x41, 0, 0x11, 1, 0},
	} {
		if _, err := preempt.Rewrite(module(body), preempt.Options{MaxDepth: 9}); !errors.Is(err, wasmfile.ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, wasmfile.ErrMalformed)
		}
	}
}

// The rewriter reads files that nobody has looked at: it must not need time or
// memory out of proportion.
func TestRewritingTakesNoLongerThanReading(t *testing.T) {
	nested := func(n int, open, inner []byte) []byte {
		body := bytes.Repeat(open, n)
		body = append(append(body, inner...), bytes.Repeat([]byte{0x0b}, n)...)
		b := append(leb([]byte{1}, len(body)+2), append(append([]byte{0}, body...), 0x0b)...)
		m := append([]byte("\x00asm\x01\x00\x00\x00"), 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10)
		return append(leb(m, len(b)), b...)
	}
	const n = 200_000
	var branches []byte
	for range n {
		branches = append(leb(append(branches, 0x41, 0, 0x0d), n-1), 0x41, 0, 0x0d, 0)
	}
	for name, m := range map[string][]byte{
		"loops in loops":           nested(n, []byte{0x03, 0x40}, nil),
		"branches out of many":     nested(n, []byte{0x03, 0x40}, branches),
		"loops that might count":   nested(n, []byte{0x41, 0, 0x1a, 0x03, 0x40}, nil),
		"one loop after the other": nested(1, []byte{0x03, 0x40}, bytes.Repeat([]byte{0x03, 0x40, 0x0b}, n)),
		"counters": nested(1, []byte{0x02, 0x40}, bytes.Repeat(append([]byte{0x03, 0x40},
			append(bytes.Repeat([]byte{0x41, 0, 0x41, 0, 0x6a, 0x1a}, 500), 0x0b)...), 300)),
	} {
		start := time.Now()
		out, err := preempt.Rewrite(m, preempt.Options{})
		if err != nil && !errors.Is(err, preempt.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %d bytes became %d in %v, %v", name, len(m), len(out), time.Since(start), err)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

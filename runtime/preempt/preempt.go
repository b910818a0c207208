// Package preempt makes guest code interruptible by rewriting its binary.
//
// Nothing can stop compiled guest code from outside: a loop that calls no host
// function keeps its thread, and in Go freezes the whole process at the next
// garbage collection. [Rewrite] adds a budget that is counted down at loop heads
// and function entries. When it is spent the guest calls the imported function
// bowline.yield, in which the host can let others run, look at the time, or
// return an error and so end the guest. It works alike on every engine.
package preempt

import (
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// Version names the form of the output. It changes whenever Rewrite gives other
// bytes for the same input, so that caches can be keyed by it.
const Version = "1"

// The functions that a rewritten module imports, as far as it needs them. Their
// type is () -> ().
const (
	ImportModule = "bowline"
	// ImportYield is called when the budget is spent. If it returns, the guest
	// goes on with a new one.
	ImportYield = "yield"
	// ImportOverflow is called when calls are nested too deeply. It should end the
	// guest with an error; the guest traps if it returns.
	ImportOverflow = "overflow"
)

// Sentinels that callers branch on.
var (
	// ErrReserved means that a module imports what Rewrite adds: it was rewritten
	// before, or tries to look like it.
	ErrReserved = errors.New("module imports a name reserved for the host")
	// ErrTooLarge means that the module would exceed a limit of the format.
	ErrTooLarge = errors.New("module is too large to be made interruptible")
)

// Options say how often guests yield. The zero value is good for most.
type Options struct {
	// Interval is the budget between two calls of bowline.yield, in units: the
	// rounds of loops and the calls of functions. Long ones count one more for
	// every 16 instructions, and bulk instructions for what they move, so that a
	// unit is a few nanoseconds; a call of a function that has loops counts 64
	// more, and a call of the host 500. Zero means 100000, more than 1<<30 means 1<<30.
	Interval uint32
	// MaxDepth is how many calls of functions that may be part of a recursion
	// (and of every 256th in a long chain of others) may be open at once; one with
	// many locals counts more, and so do instances that the host calls again from a
	// host function. Zero means no limit of ours. The count is not put back when a
	// trap or the host unwinds calls: the instance has to end then.
	MaxDepth uint32
}

const (
	defaultInterval = 100_000
	maxOption       = 1 << 30
)

// Rewrite gives a module that does the same as wasm and yields. The result is
// new, depends on nothing but the arguments, and validates wherever wasm does.
// A module without loops, calls and long functions needs no change and gets no
// import.
//
// Name sections are kept up to date and other custom sections kept as they are,
// but for those that point into the code and would be wrong: DWARF and other
// debug information, code metadata and relocations are dropped. A damaged name
// section is dropped too, even if nothing else changes: engines allocate what it
// announces.
//
// Errors match [ErrReserved], [ErrTooLarge], or those of a file that is no core
// module: [wasmfile.ErrNotWasm], [wasmfile.ErrComponent], [wasmfile.ErrMalformed].
func Rewrite(wasm []byte, opts Options) ([]byte, error) {
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, err
	}
	for _, i := range f.Imports {
		if i.Module == ImportModule && (i.Name == ImportYield || i.Name == ImportOverflow) {
			return nil, fmt.Errorf("%w: %s.%s is added when a plugin is loaded; give the module as its compiler made it",
				ErrReserved, i.Module, i.Name)
		}
	}
	r := &rewriter{f: f, interval: option(opts.Interval, defaultInterval), maxDepth: option(opts.MaxDepth, 0)}
	if err := r.scan(); err != nil {
		return nil, err
	}
	if !r.needed() {
		return r.unchanged(wasm), nil
	}
	r.plan()
	return r.write(wasm[:8])
}

func option(v uint32, zero int32) int32 {
	if v == 0 {
		return zero
	}
	return int32(min(v, maxOption))
}

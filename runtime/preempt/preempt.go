// Package preempt makes guest code interruptible by rewriting its binary.
//
// Nothing can stop compiled guest code from outside: a loop that calls no host
// function keeps its thread, and in Go freezes the whole process at the next
// garbage collection. [Rewrite] adds a budget that is counted down in loops and
// at function entries. When it is spent the guest calls the imported function
// bowline.yield, in which the host can let others run, look at the time, or
// return an error and so end the guest. The depth of calls is counted, too. It
// works alike on every engine.
//
// # Units
//
// A unit is a call or a round of a loop, and one more for every 16 instructions of
// it; a call of the host is 500 more, as it may take as long as a write to a
// terminal, growing the memory 256, and bulk instructions one for every KiB or 64
// elements. The rounds of short loops are counted by fours, those of a loop whose
// number can be read off the code all at once, and short functions without loops
// and calls not at all. So a unit is a few nanoseconds, and what a guest has used is
// a property of the guest and its input: the same on every engine and machine.
package preempt

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// Version names the form of the output. It changes whenever Rewrite gives other
// bytes for the same input, so that caches can be keyed by it.
const Version = "7"

// What a rewritten module imports and exports, if it needs any change.
const (
	ImportModule = "bowline"
	// ImportYield, of type (i32) -> (i32), is called when the budget is spent. It
	// gets what is left of it, a negative number, and answers the next budget, at
	// most [MaxBudget]. The first call gives the first budget: a new instance has
	// none.
	ImportYield = "yield"
	// ImportOverflow, of type () -> (), is called when calls are nested too deeply.
	// It should end the guest with an error; the guest traps if it returns.
	ImportOverflow = "overflow"
	// ExportLeft, of type () -> (i32), answers what is left of the budget.
	ExportLeft = "bowline.left"
)

const (
	// DefaultBudget is a good budget, in units: a fraction of a millisecond of most
	// guests on a fast machine.
	DefaultBudget = 100_000
	// MaxBudget is the largest one.
	MaxBudget = 1 << 30
	// DefaultDepth is the depth when [Options].MaxDepth is zero.
	DefaultDepth = 10_000
)

// Sentinels that callers branch on.
var (
	// ErrReserved means that a module imports or exports what Rewrite adds: it was rewritten
	// before, or tries to look like it.
	ErrReserved = errors.New("module uses a name reserved for the host")
	// ErrTooLarge means that the module would exceed a limit of the format.
	ErrTooLarge = errors.New("module is too large to be made interruptible")
)

// Options say what is counted. The zero value is good for most.
type Options struct {
	// MaxDepth is how deep calls may be nested, in units: a call of a function of
	// which every recursion has at least one, and of some in long chains of others,
	// is one, and one more for every 16 locals and every 4 KiB of code. Calls back from a host function
	// count on. Zero means DefaultDepth, more than 1<<30 means 1<<30. The count is
	// not put back when a trap or the host unwinds calls: the instance has to end
	// then.
	MaxDepth uint32
}

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
	if _, ok := f.Export(ExportLeft); ok {
		return nil, fmt.Errorf("%w: export %s is added when a plugin is loaded; give the module as its compiler made it", ErrReserved, ExportLeft)
	}
	for _, i := range f.Imports {
		if i.Module == ImportModule && (i.Name == ImportYield || i.Name == ImportOverflow) {
			return nil, fmt.Errorf("%w: %s.%s is added when a plugin is loaded; give the module as its compiler made it",
				ErrReserved, i.Module, i.Name)
		}
	}
	r := &rewriter{f: f, maxDepth: int32(min(cmp.Or(opts.MaxDepth, DefaultDepth), 1<<30))}
	if err := r.scan(); err != nil {
		return nil, err
	}
	if !r.needed() {
		return r.unchanged(wasm), nil
	}
	r.plan()
	return r.write(wasm[:8])
}

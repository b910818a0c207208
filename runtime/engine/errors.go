package engine

import (
	"errors"
	"fmt"
)

// Sentinels that callers branch on.
var (
	// ErrInvalid means that the bytes are not a valid core Wasm module.
	ErrInvalid = errors.New("invalid Wasm module")
	// ErrNoExport means that there is no exported function of that name.
	ErrNoExport = errors.New("no such exported function")
	// ErrNoTable means that the module has no function table.
	ErrNoTable = errors.New("no function table (link the plugin with -Wl,--export-table)")
	// ErrIndex means a table index that is out of range or null.
	ErrIndex = errors.New("table index out of range or null")
	// ErrType means that a guest function has another type than the call.
	ErrType = errors.New("function type differs")
	// ErrLimit means that a guest met one of its limits: it was not started, or was stopped.
	ErrLimit = errors.New("limit reached")
)

// ExitError is how proc_exit ends a call.
type ExitError struct {
	// Code is what the guest gave to proc_exit.
	Code uint32
}

// Error says the code.
func (e *ExitError) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// MemoryError is how Instantiate refuses a module whose initial memory is above
// the limit. Both are in bytes.
type MemoryError struct {
	Need, Limit uint64
}

// Error says both numbers.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("the module starts with %d bytes of memory, the limit is %d", e.Need, e.Limit)
}

// Is reports whether target is [ErrLimit].
func (e *MemoryError) Is(target error) bool { return target == ErrLimit }

// LimitError is how a guest is refused or stopped at a limit. It matches [ErrLimit].
type LimitError struct {
	// Limit is the limit's name as a policy writes it, such as "cpu-per-call".
	Limit string
	// Value is what the limit is, as a policy writes it.
	Value string
	// What says what the guest did, without the limit's name.
	What string
	// How says how to raise it. Empty means in the policy or with run --limit.
	How string
}

// Error says what happened and how to raise the limit.
func (e *LimitError) Error() string {
	how := e.How
	if how == "" {
		how = fmt.Sprintf("raise %q in the limits of the policy (or run --limit %[1]s=N)", e.Limit)
	}
	return fmt.Sprintf("%s; if it needs more, %s", e.What, how)
}

// Is reports whether target is [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// Trap is how a guest's own fault ends a call.
type Trap struct {
	// Reason is one of the Trap constants below, or the engine's words.
	Reason string
	// Stack holds the guest's frames, innermost first, when the engine knows them.
	Stack []string
}

// The reasons of traps, the same on every engine.
const (
	TrapUnreachable    = "unreachable executed"
	TrapMemory         = "out of bounds memory access"
	TrapTable          = "out of bounds table access"
	TrapIndirectNull   = "indirect call to null or missing element"
	TrapIndirectType   = "indirect call type mismatch"
	TrapDivideByZero   = "integer divide by zero"
	TrapOverflow       = "integer overflow"
	TrapBadConversion  = "invalid conversion to integer"
	TrapStackExhausted = "call stack exhausted"
)

// Error is one line; the frames are in Stack.
func (t *Trap) Error() string { return "trap: " + t.Reason }

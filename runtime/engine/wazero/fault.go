package wazero

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// reasons translates the texts of wazero's traps, whose type is internal there.
// wazero has one text for a table index out of range and for a null element.
var reasons = map[string]string{
	"unreachable":                   engine.TrapUnreachable,
	"out of bounds memory access":   engine.TrapMemory,
	"invalid table access":          engine.TrapIndirectNull,
	"indirect call type mismatch":   engine.TrapIndirectType,
	"integer divide by zero":        engine.TrapDivideByZero,
	"integer overflow":              engine.TrapOverflow,
	"invalid conversion to integer": engine.TrapBadConversion,
	"stack overflow":                engine.TrapStackExhausted,
}

// The texts that wazero puts around a trap.
const (
	trapPrefix  = "wasm error: "
	stackHeader = "wasm stack trace:\n\t"
	goHeader    = "\n\nGo runtime stack trace:"
	recovered   = " (recovered by wazero)"
)

// fault translates the error of a call into what the seam promises.
func fault(err error) error {
	if host, ok := errors.AsType[*hostError](err); ok {
		return host
	}
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		return &engine.ExitError{Code: exit.ExitCode()}
	}
	text, trace, _ := strings.Cut(err.Error(), stackHeader)
	text = strings.TrimSpace(text)
	trace, _, _ = strings.Cut(trace, goHeader)
	var frames []string
	for _, line := range strings.Split(trace, "\n\t") {
		if line != "" {
			frames = append(frames, strings.TrimPrefix(strings.TrimSpace(line), "."))
		}
	}
	if i := strings.Index(text, trapPrefix); i >= 0 {
		text = text[i+len(trapPrefix):]
	} else if _, ok := reasons[text]; !ok {
		return panicked(strings.TrimSuffix(text, recovered), frames)
	}
	reason, ok := reasons[text]
	if !ok {
		reason = oneLine(text)
	}
	return &engine.Trap{Reason: reason, Stack: frames}
}

// panicked describes a Go panic under a guest's call.
func panicked(v any, frames []string) error {
	where := "a host function"
	if len(frames) > 0 {
		where = "host function " + frames[0]
	}
	return fmt.Errorf("bug in %s: it panicked: %s", where, oneLine(fmt.Sprint(v)))
}

// rescue turns a panic that wazero let through into an error. That happens while
// an instance is made: our allocator refuses, or the start function is an import.
func rescue(r any) error {
	switch v := r.(type) {
	case *hostError:
		return v
	case memoryError:
		return v.err
	case *sys.ExitError:
		return &engine.ExitError{Code: v.ExitCode()}
	}
	return panicked(r, nil)
}

// instantiateFault translates what stops an instance from being made: a trap or
// an error in the start function, or a segment that does not fit.
func instantiateFault(err error) error {
	inner := err
	for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(next) {
		inner = next
	}
	if reason, ok := reasons[inner.Error()]; ok {
		if !strings.Contains(err.Error(), stackHeader) {
			return &engine.Trap{Reason: reason}
		}
		return fault(err)
	}
	if _, ok := errors.AsType[*hostError](err); ok || strings.Contains(err.Error(), stackHeader) {
		return fault(err)
	}
	if _, ok := errors.AsType[*sys.ExitError](err); ok {
		return fault(err)
	}
	return fmt.Errorf("instantiate the module: %s", oneLine(err.Error()))
}

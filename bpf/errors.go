package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Errors that callers branch on. Every error of this package that has one of these causes matches it with [errors.Is];
// an operation on something that was closed matches [os.ErrClosed].
var (
	// ErrNotFound says that an object has no program, map or variable of that name.
	ErrNotFound = errors.New("not found")
	// ErrSize says that a key, a value or a variable has the wrong length.
	ErrSize = errors.New("wrong size")
	// ErrType says that an operation does not fit the type of a map or a program.
	ErrType = errors.New("wrong type")
	// ErrBusy says that somebody else is using what can have one user at a time, such as a reader of a ring buffer.
	ErrBusy = errors.New("busy")
	// ErrFormat says that bytes are not a BPF object this package can read. See [FormatError].
	ErrFormat = errors.New("not a usable BPF object")
	// ErrUnsupported says that this kernel lacks a feature. See [UnsupportedError].
	ErrUnsupported = errors.New("not supported by this kernel")
	// ErrPermission says that this process lacks a privilege. See [PermissionError].
	ErrPermission = errors.New("permission missing")
	// ErrVerifier says that the kernel's verifier rejected a program. See [VerifierError].
	ErrVerifier = errors.New("rejected by the verifier")
	// ErrTooManyLinks says that an attach would take more links of the kernel's than [Target].MaxLinks.
	ErrTooManyLinks = errors.New("too many links")
	// ErrNotCounted says that records which the kernel could not store are not counted for a map.
	ErrNotCounted = errors.New("lost records are not counted")
)

// FormatError says why bytes cannot be used as a BPF object. It matches [ErrFormat].
type FormatError struct {
	// Reason is one line for people.
	Reason string
	// Cause is the parser's error, nil if this package found the fault itself.
	Cause error
}

// Error returns the reason.
func (e *FormatError) Error() string { return "BPF object: " + e.Reason }

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// Unwrap returns the parser's error.
func (e *FormatError) Unwrap() error { return e.Cause }

// UnsupportedError names what this kernel lacks. It matches [ErrUnsupported] and [ebpf.ErrNotSupported].
type UnsupportedError struct {
	// Feature is what was asked for, for example "map type RingBuf".
	Feature string
	// Reason says what the kernel does not do. Empty means "not supported by this kernel".
	Reason string
	// Need is how to get it: "Linux 5.8", a kernel option, or what to do instead.
	Need string
	// Cause is the kernel's answer. It may be nil.
	Cause error
}

// Error names the feature and what it needs.
func (e *UnsupportedError) Error() string {
	s := e.Feature + ": " + cmp.Or(e.Reason, "not supported by this kernel")
	if e.Need != "" {
		s += "; needs " + e.Need
	}
	return s
}

// Is reports whether target is [ErrUnsupported] or [ebpf.ErrNotSupported].
func (e *UnsupportedError) Is(target error) bool {
	return target == ErrUnsupported || target == ebpf.ErrNotSupported
}

// Unwrap returns the kernel's answer.
func (e *UnsupportedError) Unwrap() error { return e.Cause }

// PermissionError names the privilege that this process lacks. It matches [ErrPermission] and [os.ErrPermission].
type PermissionError struct {
	// What is the step that was refused, for example "load program dump".
	What string
	// Capability is what is missing, for example "CAP_BPF and CAP_PERFMON", or the setting that forbids it.
	Capability string
	// Cause is the kernel's answer. It may be nil.
	Cause error
}

// Error names the step and what it needs.
func (e *PermissionError) Error() string {
	return e.What + ": permission denied; needs " + e.Capability
}

// Is reports whether target is [ErrPermission] or [os.ErrPermission].
func (e *PermissionError) Is(target error) bool {
	return target == ErrPermission || target == os.ErrPermission
}

// Unwrap returns the kernel's answer.
func (e *PermissionError) Unwrap() error { return e.Cause }

// VerifierError is the verifier's answer to a program that it rejects. It matches [ErrVerifier].
type VerifierError struct {
	// Program is the program's name.
	Program string
	// Cause is the kernel's error, from which a [unix.Errno] can be unwrapped.
	Cause error
	// Log is all that the verifier wrote, line by line.
	Log []string
}

// Error is one line: the program, the verifier's reason and the instruction or source line where it arose.
// The rest is in Log.
func (e *VerifierError) Error() string {
	reason, where := verifierReason(e.Log)
	if reason == "" {
		return fmt.Sprintf("program %s: rejected by the verifier: %v (it wrote no log)", e.Program, e.Cause)
	}
	s := fmt.Sprintf("program %s: rejected by the verifier: %s", e.Program, reason)
	if where != "" {
		s += ": at " + where
	}
	return s
}

// Is reports whether target is [ErrVerifier].
func (e *VerifierError) Is(target error) bool { return target == ErrVerifier }

// Unwrap returns the kernel's error.
func (e *VerifierError) Unwrap() error { return e.Cause }

// MapError is an operation on a map that the kernel refused. It unwraps to a [unix.Errno] and, where the key is missing or
// already there, matches [ebpf.ErrKeyNotExist] or [ebpf.ErrKeyExist].
type MapError struct {
	// Op is the operation: "lookup", "update", "delete", "next key", "lookup and delete", or a batch of one, "batch lookup".
	Op string
	// Map is the map's name.
	Map string
	// Errno is the kernel's answer.
	Errno unix.Errno
	// Hint is what it means for this map, and what to do. It may be empty.
	Hint string
}

// Error names the operation, the map and the kernel's answer, and what it means.
func (e *MapError) Error() string {
	answer := e.Errno.Error()
	if e.Errno == unix.ENOENT {
		answer = "no such key"
	}
	if e.Hint != "" {
		answer += "; " + e.Hint
	}
	return fmt.Sprintf("%s in map %s: %s", e.Op, e.Map, answer)
}

// Is reports whether target is cilium's error for the same condition.
func (e *MapError) Is(target error) bool {
	switch target {
	case ebpf.ErrKeyNotExist:
		return e.Errno == unix.ENOENT
	case ebpf.ErrKeyExist:
		return e.Errno == unix.EEXIST
	case ErrUnsupported, ebpf.ErrNotSupported:
		return e.Errno == enotsupp || e.Errno == unix.EOPNOTSUPP
	}
	return false
}

// Unwrap returns the errno.
func (e *MapError) Unwrap() error { return e.Errno }

// enotsupp is ENOTSUPP, which the kernel returns to user space although it is not in the C library's list.
const enotsupp = unix.Errno(524)

// notFound says that name is missing and what there is instead.
func notFound(kind, name string, have []string) error {
	if len(have) == 0 {
		return fmt.Errorf("%s %q: %w; the object has none", kind, name, ErrNotFound)
	}
	const show = 8
	more := ""
	if len(have) > show {
		have, more = have[:show], ", ..."
	}
	return fmt.Errorf("%s %q: %w; there are %s%s", kind, name, ErrNotFound, strings.Join(have, ", "), more)
}

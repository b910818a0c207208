package kernel

import "errors"

// ErrUnsupported is matched by every error that means: this kernel, as it was built or booted, cannot do it.
var ErrUnsupported = errors.New("not supported by this kernel")

// ErrPermission is matched by every error that means: this process may not do it.
var ErrPermission = errors.New("not permitted")

// Missing says what the kernel lacks. It matches [ErrUnsupported].
type Missing struct {
	// Feature is what was wanted: "kprobes".
	Feature string
	// Need is what would give it: "a kernel built with CONFIG_KPROBES".
	Need string
	// Cause is what the kernel answered; nil where it was known without asking.
	Cause error
}

// Error says what is missing and what would give it.
func (m *Missing) Error() string {
	s := m.Feature + ": not supported by this kernel"
	if m.Cause != nil {
		s += " (" + m.Cause.Error() + ")"
	}
	if m.Need != "" {
		s += "; needs " + m.Need
	}
	return s
}

// Is reports whether the target is [ErrUnsupported].
func (m *Missing) Is(target error) bool { return target == ErrUnsupported }

// Unwrap gives what the kernel answered.
func (m *Missing) Unwrap() error { return m.Cause }

// Denied says which capability the process lacks. It matches [ErrPermission].
type Denied struct {
	// What was refused: "mount tracefs".
	What string
	// Capability is the missing one: "CAP_SYS_ADMIN".
	Capability string
	// Cause is what the kernel answered; nil where it was known without asking.
	Cause error
}

// Error says what was refused and which capability is missing.
func (d *Denied) Error() string {
	s := d.What + ": not permitted"
	if d.Cause != nil {
		s += " (" + d.Cause.Error() + ")"
	}
	if d.Capability != "" {
		s += "; needs " + d.Capability
	}
	return s
}

// Is reports whether the target is [ErrPermission].
func (d *Denied) Is(target error) bool { return target == ErrPermission }

// Unwrap gives what the kernel answered.
func (d *Denied) Unwrap() error { return d.Cause }

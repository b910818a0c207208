package node

import (
	"errors"
	"os"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// The exit codes of the command. Everything else is the plugin's own.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2   // a wrong command line
	ExitDenied      = 3   // the policy does not grant it, or a privilege is missing
	ExitLimit       = 4   // the plugin met one of its limits
	ExitUnsupported = 6   // the kernel lacks a feature
	ExitTimeout     = 124 // the time-out passed, as timeout(1) says it
	ExitInterrupted = 130 // SIGINT or SIGTERM
)

// ErrTimeout is the cause with which a run ends when its time is up.
var ErrTimeout = errors.New("time-out")

// exitCode says how the process ends after a run that ended with err.
func exitCode(err error) int {
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, policy.ErrDenied):
		return ExitDenied
	case errors.Is(err, engine.ErrLimit), errors.Is(err, session.ErrLimit):
		return ExitLimit
	case errors.Is(err, bpf.ErrUnsupported): // first: its cause may be an EPERM of the kernel
		return ExitUnsupported
	case errors.Is(err, bpf.ErrPermission), errors.Is(err, os.ErrPermission):
		return ExitDenied
	}
	return ExitFailure
}

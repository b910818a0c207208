package bpf

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
)

// Program is a program in the kernel. A program of a loaded [Object] belongs to it and is gone when the Object is closed; one made
// by [LoadProgram] belongs to its caller, who closes it. All methods may be used from several goroutines at once, also while the
// program is being closed; then they return an error that matches [os.ErrClosed].
type Program struct {
	obj      *Object // nil for a program that has no object
	name     string
	section  string
	spec     *ebpf.ProgramSpec
	prog     *ebpf.Program
	fd       int
	hook     Hook
	attachTo string
	multi    bool     // a uprobe that attaches as uprobe.multi does
	use      useCount // of prog
}

// Name returns the name of the program's C function.
func (p *Program) Name() string { return p.name }

// Section returns the ELF section that the program came from, for example "tp_btf/sched_process_exec".
func (p *Program) Section() string { return p.section }

// Type returns the kernel's program type.
func (p *Program) Type() ebpf.ProgramType { return p.spec.Type }

// Hook returns the kind of place the program's section asks to be attached to.
func (p *Program) Hook() Hook { return p.hook }

// AttachTo returns what the section names as the place, for example "sched_process_exec". It may be empty.
func (p *Program) AttachTo() string { return p.attachTo }

// FD returns the program's file descriptor, -1 after it was closed. The Program keeps owning it.
func (p *Program) FD() int {
	if p.use.closed() {
		return -1
	}
	return p.fd
}

// Object returns the object that the program belongs to, nil if it has none.
func (p *Program) Object() *Object { return p.obj }

// Kernel returns the loaded program as cilium/ebpf's type, for what this package does not wrap. Do not close it.
func (p *Program) Kernel() *ebpf.Program { return p.prog }

// VerifierLog returns what the verifier wrote when it accepted the program; empty unless [LoadOptions] or [ProgramOptions] asked
// for it.
func (p *Program) VerifierLog() string { return p.prog.VerifierLog }

// String names the program and its type: "count (XDP)".
func (p *Program) String() string { return fmt.Sprintf("%s (%s)", p.name, p.spec.Type) }

// Attach attaches the program. The zero Target means what the program's section name says. The Link belongs to the program's
// Object, as with [Object.Attach], or to the caller if there is none: then it must be closed, and goes on after the program was.
func (p *Program) Attach(t Target) (*Link, error) {
	if p == nil || p.prog == nil {
		return nil, fmt.Errorf("attach: program: %w", os.ErrClosed)
	}
	if p.obj != nil {
		return p.obj.Attach(p, t)
	}
	return attach(p, t)
}

// Close gives up a program made by [LoadProgram]; what it is attached to keeps it. A program of an Object goes with the Object: for
// that one the error matches [ErrType]. Close is idempotent.
func (p *Program) Close() error {
	if p.obj != nil {
		return fmt.Errorf("close program %s: %w: it belongs to an object, which closes it", p.name, ErrType)
	}
	return p.close()
}

// close gives up the descriptor once the operations that run are done.
func (p *Program) close() error {
	if _, release := p.use.close(); release {
		return p.prog.Close()
	}
	return nil
}

// enter keeps the program's descriptor until leave. It reports false for a program that is closed or was never loaded.
func (p *Program) enter() bool { return p != nil && p.prog != nil && p.use.enter() }

// leave ends a use of the descriptor and closes it if the program was closed meanwhile.
func (p *Program) leave() {
	if p.use.leave() {
		_ = p.prog.Close()
	}
}

// closedError is the answer of an operation on a program that was closed.
func (p *Program) closedError(what string) error {
	if p == nil {
		return fmt.Errorf("%s: program: %w", what, os.ErrClosed)
	}
	return fmt.Errorf("%s of program %s: %w", what, p.name, os.ErrClosed)
}

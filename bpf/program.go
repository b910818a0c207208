package bpf

import (
	"github.com/cilium/ebpf"
)

// Program is a program of a loaded [Object]. The Object owns it: it is gone when the Object is closed.
type Program struct {
	obj      *Object
	name     string
	section  string
	spec     *ebpf.ProgramSpec
	prog     *ebpf.Program
	fd       int
	hook     Hook
	attachTo string
	multi    bool // a uprobe that attaches as uprobe.multi does
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

// FD returns the program's file descriptor, -1 after the Object was closed. The Object keeps owning it.
func (p *Program) FD() int {
	if p.obj.unloaded.Load() {
		return -1
	}
	return p.fd
}

// Object returns the object that the program belongs to.
func (p *Program) Object() *Object { return p.obj }

// Kernel returns the loaded program as cilium/ebpf's type, for what this package does not wrap. Do not close it.
func (p *Program) Kernel() *ebpf.Program { return p.prog }

// VerifierLog returns what the verifier wrote when it accepted the program; empty unless [LoadOptions] asked for it.
func (p *Program) VerifierLog() string { return p.prog.VerifierLog }

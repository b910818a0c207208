package bpf

import "fmt"

// attachSyscall explains programs of section syscall: they are run, not attached.
func attachSyscall(p *Program, _ Target) (*Link, error) {
	return nil, fmt.Errorf("%w: a syscall program is run by a test run (BPF_PROG_TEST_RUN) and attached to nothing", ErrType)
}

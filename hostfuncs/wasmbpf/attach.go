package wasmbpf

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// attach is wasm_attach_bpf_program(object, name, target) -> 0. The target is
// text in the form of [bpf.ParseTarget]; a null pointer or an empty one means
// what the section name says.
//
// EINVAL: not an object, or a target that does not fit the hook. EFAULT: a name
// outside memory. EPERM: no such program (as the ancestor answers), or a missing
// privilege. EOPNOTSUPP: the kernel lacks the hook. Else what the kernel said.
func (s *instance) attach(_ context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	mem := in.Memory()
	o, ok := s.object(stack[0])
	if !ok {
		return s.refuse("attach", unix.EINVAL, "%#x is not an open BPF object", stack[0])
	}
	name, ok := hostfuncs.CString(mem, uint32(stack[1]), maxName)
	if !ok {
		return s.refuse("attach", unix.EFAULT, "the program's name at %#x is no string in the plugin's memory", uint32(stack[1]))
	}
	var target string
	if p := uint32(stack[2]); p != 0 {
		if target, ok = hostfuncs.CString(mem, p, maxName); !ok {
			return s.refuse("attach "+name, unix.EFAULT, "the target at %#x is no string in the plugin's memory", p)
		}
	}
	prog, err := o.obj.Program(name)
	if err != nil {
		s.env.Report("attach "+name, err)
		return fail(unix.EPERM), nil
	}
	if err = s.openPerf(o); err == nil {
		err = s.attachTo(prog, target)
	}
	s.env.Report("attach "+name, err)
	return fail(hostfuncs.Errno(err)), nil
}

// openPerf opens the buffers of all perf arrays before a program of the object
// runs: without a buffer the kernel drops what it sends, and the guest polls for
// the first time only after it has attached. Ring buffers hold it from the load on.
func (s *instance) openPerf(o *object) error {
	for _, m := range o.obj.Maps() {
		if m.Type() != ebpf.PerfEventArray {
			continue
		}
		h, err := s.handle(o, m.Name())
		if err == nil {
			err = s.openEvents(h)
		}
		if err != nil {
			return fmt.Errorf("open perf buffer %s: %w", m.Name(), err)
		}
	}
	return nil
}

// attachTo attaches one program. The ancestor ignores the target of all hooks
// that libbpf attaches by itself, so a target that makes no sense for such
// a hook is ignored here too.
func (s *instance) attachTo(prog *bpf.Program, target string) error {
	t, err := bpf.ParseTarget(prog.Hook(), target)
	if err != nil && prog.AttachTo() == "" {
		return err
	}
	_, err = s.s.AttachOwned(prog, t)
	return err
}

// refuse reports a call that is wrong in itself and answers its error number.
func (s *instance) refuse(step string, no unix.Errno, format string, args ...any) (uint64, error) {
	s.env.Report(step, fmt.Errorf(format+": %w", append(args, no)...))
	return fail(no), nil
}

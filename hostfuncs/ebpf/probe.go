package ebpf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// kernelProbe is kernel_probe(what, name).
func (i *instance) kernelProbe(c *call) error {
	what, name := c.u32(), c.text("name")
	if !c.ok() {
		return nil
	}
	f, err := probe(what, name)
	if err != nil {
		return err
	}
	return f.Err()
}

func probe(what uint32, name string) (kernel.ProbeFeature, error) {
	switch what {
	case abi.ProbeProgram:
		n, err := number(abi.ProgramTypes(), "program type", name)
		if err != nil {
			return kernel.ProbeFeature{}, err
		}
		return kernel.ProbeProgramType(ebpf.ProgramType(n)), nil
	case abi.ProbeMap:
		n, err := number(abi.MapTypes(), "map type", name)
		if err != nil {
			return kernel.ProbeFeature{}, err
		}
		return kernel.ProbeMapType(ebpf.MapType(n)), nil
	case abi.ProbeHelper:
		typ, helper, ok := strings.Cut(name, ":")
		if !ok {
			return kernel.ProbeFeature{}, fmt.Errorf("probe helper %q: %w: write it as program type and helper, such as xdp:bpf_fib_lookup", name, session.ErrArgument)
		}
		n, err := number(abi.ProgramTypes(), "program type", typ)
		if err != nil {
			return kernel.ProbeFeature{}, err
		}
		return known(kernel.ProbeHelper(ebpf.ProgramType(n), helper), "helper", helper)
	case abi.ProbeHook:
		return known(kernel.ProbeHook(name), "hook", name)
	}
	return kernel.ProbeFeature{}, fmt.Errorf("probe: %w: %d is none of probe", session.ErrArgument, what)
}

// number finds the number of a name.
func number(names []string, kind, name string) (int, error) {
	n := slices.Index(names, name)
	if n <= 0 {
		return 0, fmt.Errorf("probe %s %q: %w", kind, name, bpf.ErrNotFound)
	}
	return n, nil
}

// known turns an answer about a name that does not exist into an error.
func known(f kernel.ProbeFeature, kind, name string) (kernel.ProbeFeature, error) {
	if f.Answer == kernel.ProbeUnknown && f.Since == "" {
		return f, fmt.Errorf("probe %s %q: %w: %s", kind, name, bpf.ErrNotFound, f.Why)
	}
	return f, nil
}

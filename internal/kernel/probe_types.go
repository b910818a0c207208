package kernel

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// programTests asks for every program type.
func programTests() probeSet {
	s := probeSet{id: "programs", title: "program types (load)"}
	for _, f := range programFacts {
		try := func() error { return features.HaveProgramType(f.typ) }
		switch f.typ {
		case ebpf.Tracing:
			try = tryTPBTF // a trampoline is a question of its own
		case ebpf.Extension, ebpf.LSM:
			try = func() error { return afterTrampoline(features.HaveProgramType(f.typ)) }
		}
		s.tests = append(s.tests, probeTest{name: f.typ.String(), since: f.since, caps: f.caps, config: f.config, try: try})
	}
	return s
}

// afterTrampoline names the reason when a type that needs trampolines is refused.
func afterTrampoline(err error) error {
	if no := Trampolines(); err != nil && errors.Is(no, ErrUnsupported) {
		return fmt.Errorf("%w: %w", errTrampoline, no)
	}
	return err
}

// mapTests asks for every map type.
func mapTests() probeSet {
	s := probeSet{id: "maps", title: "map types"}
	for _, f := range mapFacts {
		s.tests = append(s.tests, probeTest{name: f.typ.String(), since: f.since, caps: f.caps, config: f.config,
			try: func() error { return features.HaveMapType(f.typ) }})
	}
	return s
}

// featureTests asks for what programs use besides their types.
func featureTests() probeSet {
	mapType := func(name string, t ebpf.MapType) probeTest {
		return probeTest{name: name, since: short(MapSince(t)), caps: capsBPF, try: func() error { return features.HaveMapType(t) }}
	}
	helper := func(name string, fn asm.BuiltinFunc, pt ebpf.ProgramType, caps []Cap) probeTest {
		return probeTest{name: name, since: helperSince(fn), caps: caps, try: func() error { return features.HaveProgramHelper(pt, fn) }}
	}
	return probeSet{id: "features", title: "features", tests: []probeTest{
		{name: "kernel BTF (CO-RE)", since: btfSince, config: []string{"CONFIG_DEBUG_INFO_BTF"}, try: BTF},
		mapType("ring buffer", ebpf.RingBuf),
		mapType("user ring buffer", ebpf.UserRingbuf),
		mapType("arena", ebpf.Arena),
		{name: "mmapable arrays", since: "5.5", caps: capsBPF, try: func() error { return features.HaveMapFlag(features.BPF_F_MMAPABLE) }},
		{name: "more than 4096 instructions", since: "5.2", caps: capsBPF, try: features.HaveLargeInstructions},
		{name: "bounded loops", since: "5.3", caps: capsBPF, try: features.HaveBoundedLoops},
		{name: "instruction set v3", since: "5.1", caps: capsBPF, try: features.HaveV3ISA},
		{name: "instruction set v4", since: "6.6", caps: capsBPF, try: features.HaveV4ISA},
		helper("bpf_probe_read_kernel", asm.FnProbeReadKernel, ebpf.TracePoint, capsTrace),
		helper("bpf_get_attach_cookie", asm.FnGetAttachCookie, ebpf.TracePoint, capsTrace),
		helper("bpf_timer", asm.FnTimerInit, ebpf.XDP, capsNet),
		helper("bpf_loop", asm.FnLoop, ebpf.TracePoint, capsTrace),
		helper("dynptr", asm.FnDynptrFromMem, ebpf.TracePoint, capsTrace),
		helper("bpf_fib_lookup", asm.FnFibLookup, ebpf.XDP, capsNet),
		helper("bpf_redirect_peer", asm.FnRedirectPeer, ebpf.SchedCLS, capsNet),
		{name: "AF_XDP sockets", since: short(MapSince(ebpf.XSKMap)), caps: []Cap{CapNetRaw}, config: []string{"CONFIG_XDP_SOCKETS"}, try: tryXDPSocket},
	}}
}

// tryXDPSocket opens a socket of the family that carries frames to user space.
func tryXDPSocket() error {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

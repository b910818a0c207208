package kernel

import "github.com/cilium/ebpf"

// Needs is what an object asks of a kernel, for [OldestKernel].
type Needs struct {
	Programs []ebpf.ProgramType
	Maps     []ebpf.MapType
	// Hooks are names such as "kprobe.multi".
	Hooks []string
	// Helpers are C names such as "bpf_loop".
	Helpers []string
	// BTF means that the kernel's own types are needed, GlobalData that there are global variables, Kfuncs that
	// functions of the kernel are called.
	BTF, GlobalData, Kfuncs bool
}

// OldestKernel is the first Linux version that has all that is needed, such as "5.8", as far as versions tell, and what
// asks for it. Distributions carry some features back into older kernels.
func OldestKernel(n Needs) (version, because string) {
	var newest Version
	ask := func(v Version, what string) {
		if !newest.AtLeast(v.Major, v.Minor) { // an unknown one is zero
			newest, version, because = v, v.Short(), what
		}
	}
	for _, p := range n.Programs {
		v, _ := ProgramSince(p)
		ask(v, "program type "+p.String())
	}
	for _, m := range n.Maps {
		v, _ := MapSince(m)
		ask(v, "map type "+m.String())
	}
	for _, h := range n.Hooks {
		v, _ := HookSince(h)
		ask(v, "hook "+h)
	}
	for _, h := range n.Helpers {
		v, _ := HelperSince(h)
		ask(v, h)
	}
	for _, f := range []struct {
		used        bool
		since, what string
	}{{n.BTF, btfSince, "kernel BTF"}, {n.GlobalData, globalDataSince, "global variables"}, {n.Kfuncs, kfuncSince, "kernel functions (kfuncs)"}} {
		if v, _ := known(f.since); f.used {
			ask(v, f.what)
		}
	}
	return version, because
}

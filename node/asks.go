package node

import (
	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// asked are the functions of wasi_ebpf that need a grant of their own, whatever is done with them.
var asked = map[string]policy.Kind{
	"share": policy.Share, "open_shared": policy.Share, "pin": policy.Pin, "open_pinned": policy.Pin, "unpin": policy.Pin,
	"program_enable_stats": policy.Stats, "program_test_run": policy.TestRun, "kernel_symbol": policy.Symbols,
	"kernel_symbolize": policy.Symbols, "process_symbolize": policy.ProcessSymbols, "kernel_cgroup_id": policy.CgroupID,
	"kernel_cgroup_path": policy.CgroupID, "socket_open": policy.SocketOf, "process_open": policy.Process, "cgroup_open": policy.CgroupID,
	"file_open": policy.File,
}

// Asks lists what a plugin will ask for, as far as its imports and its BPF objects tell: where it attaches only if a section name says
// so. everywhere are the hooks whose place comes from the command line or is made at run time.
func Asks(imports []engine.Import, objects []*bpf.Spec) (out []policy.Action, everywhere []policy.Line) {
	for _, imp := range imports {
		if kind, ok := asked[imp.Name]; ok && imp.Module == abi.Module {
			out = append(out, policy.Action{Kind: kind})
		}
	}
	for _, spec := range objects {
		for _, p := range spec.Programs() {
			if p.Optional {
				continue
			}
			out = append(out, policy.Action{Kind: policy.Load, Name: abi.TypeName(abi.ProgramTypes(), uint32(p.Type)), Hook: string(p.Hook), Symbol: p.AttachTo})
			for _, h := range p.Helpers {
				out = append(out, policy.Action{Kind: policy.Helper, Name: h})
			}
			for _, k := range p.Kfuncs {
				out = append(out, policy.Action{Kind: policy.Kfunc, Name: k})
			}
			a, ok := attaches(p)
			switch {
			case ok && a.Name != "":
				out = append(out, a)
			case ok:
				text := a.Hook
				if a.Sub != "" {
					text += "/" + a.Sub
				}
				if lines, err := policy.Lines("its contents", text); err == nil {
					everywhere = append(everywhere, lines...)
				}
			}
		}
		for _, m := range spec.Maps() {
			out = append(out, policy.Action{Kind: policy.Map, Name: abi.TypeName(abi.MapTypes(), uint32(m.Type))})
		}
	}
	return out, everywhere
}

// attaches is where a program's section says that it is attached.
func attaches(p bpf.ProgramSpec) (policy.Action, bool) {
	a := policy.Action{Kind: policy.Attach, Hook: string(p.Hook)}
	switch p.Hook {
	case bpf.HookNone, bpf.HookSyscall, bpf.HookLWT, bpf.HookTCAction:
		return a, false
	case bpf.HookXDP, bpf.HookSockOps, bpf.HookSkLookup, bpf.HookFlowDissector, bpf.HookSocket, bpf.HookSkReuseport, bpf.HookSkMsg,
		bpf.HookPerfEvent, bpf.HookNetfilter, bpf.HookLirc, bpf.HookFreplace:
		return a, true
	case bpf.HookTC, bpf.HookTCX, bpf.HookNetkit, bpf.HookCgroup, bpf.HookLSMCgroup, bpf.HookSkSKB:
		a.Sub = p.AttachTo
		return a, true
	}
	t, err := bpf.ParseTarget(p.Hook, p.AttachTo)
	if err != nil { // the hooks whose section is the place itself
		a.Name = p.AttachTo
		return a, true
	}
	if t.Path != "" {
		a.Name, a.Symbol, a.Offset = t.Path, t.Symbol, t.Offset != 0
	} else {
		a.Name, a.Offset = t.Symbol, t.Offset != 0
		if a.Name == "" {
			a.Name = t.MapName
		}
	}
	return a, true
}

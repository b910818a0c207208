package node

import (
	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/wasmbpf"
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

// wasiAsks are the functions of WASI that need a grant for what they are usually used for.
var wasiAsks = map[string]policy.Kind{
	"fd_prestat_get": policy.Dir, "path_open": policy.Dir, "environ_get": policy.Env, "sock_accept": policy.Network, "sock_recv": policy.Network,
	"sock_send": policy.Network, "clock_time_get": policy.Clock, "clock_res_get": policy.Clock, "poll_oneoff": policy.Clock,
	"random_get": policy.Random,
}

// loaders are the functions that load BPF programs out of an object, wherever the plugin has that from.
var loaders = map[string]bool{"object_open": true, "wasm_load_bpf_object": true}

// Contents lists what a plugin will ask for, as far as its imports and its BPF objects tell: where it attaches only if a section name says
// so. unread says that there are objects which cannot be read.
func Contents(imports []engine.Import, objects []*bpf.Spec, unread bool) policy.Contents {
	c := policy.Contents{Unseen: unread}
	for _, imp := range imports {
		ours := imp.Module == abi.Module || imp.Module == wasmbpf.ModuleName
		kind, ok := asked[imp.Name]
		wasi, maybe := wasiAsks[imp.Name]
		switch {
		case imp.Module == abi.Module && imp.Name == "map_create":
			c.Perhaps = append(c.Perhaps, policy.Action{Kind: policy.Map})
		case ours && (imp.Name == "program_load" || loaders[imp.Name] && len(objects) == 0):
			c.Unseen = true
		case ok && imp.Module == abi.Module:
			c.Actions = append(c.Actions, policy.Action{Kind: kind})
			if kind == policy.TestRun {
				c.Perhaps = append(c.Perhaps, policy.Action{Kind: policy.LiveFrames})
			}
		case maybe && !ours:
			c.Perhaps = append(c.Perhaps, policy.Action{Kind: wasi})
		}
	}
	for _, spec := range objects {
		for _, p := range spec.Programs() {
			if !p.Optional {
				c.Everywhere = addProgram(&c.Actions, c.Everywhere, p)
				continue
			}
			// Whether it is loaded is decided when the plugin runs, and so is where it goes.
			if len(addProgram(&c.Perhaps, nil, p)) > 0 {
				c.Perhaps = append(c.Perhaps, policy.Action{Kind: policy.Attach, Hook: string(p.Hook)})
			}
		}
		for _, m := range spec.Maps() {
			name := abi.TypeName(abi.MapTypes(), uint32(m.Type))
			c.Actions = append(c.Actions, policy.Action{Kind: policy.Map, Name: name})
			switch name {
			case "devmap", "devmap_hash":
				c.Perhaps = append(c.Perhaps, policy.Action{Kind: policy.Redirect})
			case "xskmap":
				c.Perhaps = append(c.Perhaps, policy.Action{Kind: policy.XSK})
			}
		}
	}
	return c
}

// addProgram adds what a program asks for to out, or to everywhere if it does not say where it goes.
func addProgram(out *[]policy.Action, everywhere []policy.Line, p bpf.ProgramSpec) []policy.Line {
	load := policy.Action{Kind: policy.Load, Name: abi.TypeName(abi.ProgramTypes(), uint32(p.Type)), Hook: string(p.Hook), Symbol: p.AttachTo}
	*out = append(*out, load)
	for _, h := range p.Helpers {
		*out = append(*out, policy.Action{Kind: policy.Helper, Name: h})
	}
	for _, k := range p.Kfuncs {
		*out = append(*out, policy.Action{Kind: policy.Kfunc, Name: k})
	}
	a, ok := attaches(p)
	switch {
	case ok && a.Name != "":
		*out = append(*out, a)
	case ok:
		text := a.Hook
		if a.Sub != "" {
			text += "/" + a.Sub
		}
		if lines, err := policy.Lines("its contents", text); err == nil {
			return append(everywhere, lines...)
		}
	}
	return everywhere
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

package ebpf

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// hookSections are section names with which a program that only returns can be loaded. What is not here needs an object, a function
// to attach to, or more of the kernel than some kernels have.
var hookSections = map[string]string{
	"xdp": "xdp", "tc": "tc", "cgroup": "cgroup/connect4", "sockops": "sockops", "sk_msg": "sk_msg", "sk_skb": "sk_skb/stream_verdict",
	"sk_lookup": "sk_lookup", "flow_dissector": "flow_dissector", "socket": "socket", "sk_reuseport": "sk_reuseport",
	"tracepoint": "tracepoint", "raw_tracepoint": "raw_tracepoint", "tp_btf": "tp_btf/sched_switch", "kprobe": "kprobe", "kretprobe": "kretprobe",
	"ksyscall": "ksyscall", "kretsyscall": "kretsyscall", "uprobe": "uprobe", "uretprobe": "uretprobe", "usdt": "usdt", "perf_event": "perf_event",
	"iter": "iter/task", "syscall": "syscall", "action": "action", "lwt": "lwt_in",
}

func TestHooksRefuseFieldsThatTheyDoNotRead(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		code := insns(t, asm.Mov.Imm(asm.R0, 0), asm.Return())
		tested := 0
		for _, h := range abi.Hooks() {
			section, ok := hookSections[h.Name]
			if !ok {
				continue
			}
			tested++
			t.Run(h.Name, func(t *testing.T) {
				prog := p.programFor(t, h, section, code)
				defer p.ok("close", prog)
				p.checkFields(t, h, prog)
			})
		}
		if tested != len(hookSections) {
			t.Errorf("%d of %d hooks are in the contract", tested, len(hookSections))
		}
	})
}

// checkFields attaches a program with each field that its hook does not read, and without each that it needs.
func (p *puppet) checkFields(t *testing.T, h abi.Hook, prog int32) {
	open := p.inst.s.Open()
	for _, f := range structFields("target") {
		reads := slices.Contains(h.Fields, f.Name) || slices.Contains(h.Fields, f.Name+"!")
		if !reads {
			if got := p.call("link_attach", prog, p.targetWith(f.Name), ptr(p.room(4).ptr)); got != abi.INVAL {
				t.Errorf("with target.%s, which it does not read: %s, want INVAL: %s", f.Name, got, p.lastError())
			} else if f.Name != "reserved" && !strings.Contains(p.lastError(), f.Name) {
				t.Errorf("with target.%s the text does not name the field: %s", f.Name, p.lastError())
			}
		}
	}
	if needs := slices.IndexFunc(h.Fields, func(f string) bool { return strings.HasSuffix(f, "!") }); needs >= 0 || strings.HasPrefix(h.Doc, "Cannot be attached") {
		if got := p.call("link_attach", prog, span{}, ptr(p.room(4).ptr)); got != abi.INVAL {
			t.Errorf("without what it needs: %s, want INVAL: %s", got, p.lastError())
		}
	}
	if p.inst.s.Open() != open {
		t.Errorf("%d handles are open, %d before", p.inst.s.Open(), open)
	}
}

// TestLinksCanDoWhatTheTableOfHooksSays updates, pins and detaches a link of each hook that needs nothing but what every machine has.
func TestLinksCanDoWhatTheTableOfHooksSays(t *testing.T) {
	opts := session.Options{PinPath: kerneltest.Bpffs(t) + "/pins"}
	group := kerneltest.Cgroup(t)
	withOptions(t, opts, func(t *testing.T, p *puppet) {
		kerneltest.Netns(t)
		code := insns(t, asm.Mov.Imm(asm.R0, 0), asm.Return())
		targets := map[string]func() abi.Target{
			"xdp":            func() abi.Target { return abi.Target{Name: p.text("lo"), Mode: abi.XDPGeneric} },
			"tc":             func() abi.Target { return abi.Target{Name: p.text("lo")} },
			"cgroup":         func() abi.Target { return abi.Target{Name: p.text(group)} },
			"sockops":        func() abi.Target { return abi.Target{Name: p.text(group)} },
			"sk_msg":         func() abi.Target { return abi.Target{Map: p.newMap(ebpf.SockMap, 4, 4, 1)} },
			"sk_skb":         func() abi.Target { return abi.Target{Map: p.newMap(ebpf.SockMap, 4, 4, 1)} },
			"sk_lookup":      func() abi.Target { return abi.Target{} },
			"flow_dissector": func() abi.Target { return abi.Target{} },
			"tracepoint":     func() abi.Target { return abi.Target{Symbol: p.text("sched/sched_switch")} },
			"raw_tracepoint": func() abi.Target { return abi.Target{Symbol: p.text("sched_switch")} },
			"tp_btf":         func() abi.Target { return abi.Target{} },
			"uprobe":         func() abi.Target { return abi.Target{Name: p.text("libc.so.6"), Symbol: p.text("getpid")} },
			"perf_event":     func() abi.Target { return abi.Target{} },
			"iter":           func() abi.Target { return abi.Target{} },
		}
		if runtime.NumCPU() == 1 {
			delete(targets, "perf_event") // has one link, which can be pinned
		}
		for _, h := range abi.Hooks() {
			target, ok := targets[h.Name]
			if !ok {
				continue
			}
			t.Run(h.Name, func(t *testing.T) {
				kerneltest.Netns(t)
				first, second := p.programFor(t, h, hookSections[h.Name], code), p.programFor(t, h, hookSections[h.Name], code)
				at := target()
				link := p.handle("link_attach", first, encode(t, &at))
				detach := h.Detach
				if p.hostsOwn(link) { // the kernel has no link, so nobody else can hold it
					detach = "3.0"
				}
				p.can(t, h.Update, "link_update", link, second, int32(0))
				if p.can(t, h.Pin, "pin", link, "link") {
					defer p.ok("unpin", "link")
				}
				p.can(t, detach, "link_detach", link)
				p.ok("close", link)
			})
		}
	})
}

// programFor loads a program for a hook, or skips the test where the kernel has no such programs.
func (p *puppet) programFor(t *testing.T, h abi.Hook, section string, code []byte) int32 {
	t.Helper()
	prog, no := p.program(section, code)
	if no == abi.NOTSUP && !runs(h.Kernel) {
		t.Skipf("load: %s", p.lastError())
	}
	if no != abi.SUCCESS {
		t.Fatalf("load: %s: %s", no, p.lastError())
	}
	return prog
}

// hostsOwn says whether the host has attached without a link of the kernel.
func (p *puppet) hostsOwn(link int32) bool {
	info := p.room(32)
	no := p.call("link_info", link, info, span{}, ptr(p.room(4).ptr))
	return no == abi.SUCCESS && decode[abi.LinkInfo](p, info).Kernel == 0
}

// runs says whether the running kernel is of some version or later; an empty one is never.
func runs(version string) bool {
	v, err := kernel.ParseVersion(version)
	return err == nil && kernel.Running().AtLeast(v.Major, v.Minor)
}

// can calls what a link can do since some Linux, or never, and reports whether it did.
func (p *puppet) can(t *testing.T, since, name string, args ...any) bool {
	t.Helper()
	want := abi.NOTSUP
	if runs(since) {
		want = abi.SUCCESS
	}
	got := p.call(name, args...)
	if got != want {
		t.Errorf("%s: %s, want %s: %s", name, got, want, p.lastError())
	}
	return got == abi.SUCCESS
}

func structFields(name string) []abi.Field {
	for _, s := range abi.Structs() {
		if s.Name == name {
			return s.Fields
		}
	}
	return nil
}

// targetWith is a target with one field that is not zero.
func (p *puppet) targetWith(field string) []byte {
	p.t.Helper()
	var target abi.Target
	v := reflect.ValueOf(&target).Elem()
	for i, f := range structFields("target") {
		if f.Name != field {
			continue
		}
		switch v := v.Field(i); v.Kind() {
		case reflect.Uint32, reflect.Uint64:
			v.SetUint(1)
		case reflect.Int32:
			v.SetInt(1)
		default:
			v.Set(reflect.ValueOf(p.text("name")))
		}
	}
	return encode(p.t, &target)
}

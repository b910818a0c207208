package ebpf

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

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
				prog, no := p.program(section, code)
				if no != abi.SUCCESS {
					t.Fatalf("load: %s: %s", no, p.lastError())
				}
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

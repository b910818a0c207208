package kernel

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// Err is the answer as an error: nil for yes, a [Missing] for no, a [Denied] if a privilege is missing, else an error that says why
// it is not known.
func (f ProbeFeature) Err() error {
	switch f.Answer {
	case ProbeYes:
		return nil
	case ProbeNo:
		return &Missing{Feature: f.Name + " (" + cmp.Or(f.Why, "refused") + ")", Need: f.Get}
	case ProbeDenied:
		return &Denied{What: f.Name, Capability: f.Why}
	}
	return fmt.Errorf("%s: not known: %s", f.Name, f.Why)
}

// ProbeHook asks whether programs can be attached to a hook, by its name in package bpf such as "kprobe.multi". A name that is none
// is answered "unknown".
func ProbeHook(name string) ProbeFeature {
	h := readHost()
	tests := h.hookTests().tests
	if i := slices.IndexFunc(tests, func(t probeTest) bool { return t.name == cmp.Or(hookTestNames[name], name) }); i >= 0 {
		t := tests[i]
		t.name = name
		if since, ok := AttachSince(name); ok {
			t.since = since.Short()
		}
		return h.one(t)
	}
	since, ok := AttachSince(name)
	typ, typed := hookPrograms[name]
	if !ok && !typed {
		return ProbeFeature{Name: name, Answer: ProbeUnknown, Why: "no such hook"}
	}
	t := probeTest{name: name, since: short(since, ok)}
	if h.olderThan(t.since) {
		return ProbeFeature{Name: name, Since: t.since, Answer: ProbeNo, Why: fmt.Sprintf("Linux %s is too old", h.version), Get: "Linux " + t.since + " or newer"}
	}
	if name == "kprobe.session" {
		t.caps, t.config, t.try = capsTrace, []string{"CONFIG_FPROBE"}, features.HaveBPFLinkKprobeSession
		return h.one(t)
	}
	if !typed {
		return ProbeFeature{Name: name, Since: t.since, Answer: ProbeUnknown, Why: "it cannot be tried without attaching for real"}
	}
	of := programTest(typ)
	t.caps, t.config, t.try = of.caps, of.config, of.try
	return h.one(t)
}

// one asks one question.
func (h *probeHost) one(t probeTest) ProbeFeature {
	f := ProbeFeature{Name: t.name, Since: t.since}
	f.Answer, f.Why, f.Get = h.explain(t, t.try())
	return f
}

// hookTestNames maps hooks to the test that answers for them, where its name is another one.
var hookTestNames = map[string]string{
	"fentry": "fentry, fexit", "fexit": "fentry, fexit", "fmod_ret": "fentry, fexit",
	"xdp": "xdp generic", "tc": "tc (clsact)", "kretprobe": "kprobe", "ksyscall": "kprobe", "kretsyscall": "kprobe",
	"kretprobe.multi": "kprobe.multi", "uretprobe": "uprobe", "usdt": "uprobe", "uretprobe.multi": "uprobe.multi", "lsm_cgroup": "lsm",
	"sockops": "cgroup",
}

// hookPrograms are the program types of hooks that are only asked for by loading a program.
var hookPrograms = map[string]ebpf.ProgramType{
	"action": ebpf.SchedACT, "sk_msg": ebpf.SkMsg, "sk_skb": ebpf.SkSKB, "socket": ebpf.SocketFilter, "sk_reuseport": ebpf.SkReuseport,
	"freplace": ebpf.Extension, "syscall": ebpf.Syscall, "lwt": ebpf.LWTIn, "lirc": ebpf.LircMode2,
}

// ProbeProgramType asks whether programs of a type can be loaded.
func ProbeProgramType(t ebpf.ProgramType) ProbeFeature {
	test := programTest(t)
	if test.try == nil {
		return ProbeFeature{Name: t.String(), Answer: ProbeUnknown, Why: "no such type is known here"}
	}
	return readHost().one(test)
}

// programTest is the test for a type; its try is nil for an unknown one.
func programTest(t ebpf.ProgramType) probeTest {
	tests := programTests().tests
	if i := slices.IndexFunc(programFacts, func(f typeFacts[ebpf.ProgramType]) bool { return f.typ == t }); i >= 0 {
		return tests[i]
	}
	return probeTest{}
}

// ProbeMapType asks whether maps of a type can be made.
func ProbeMapType(t ebpf.MapType) ProbeFeature {
	if i := slices.IndexFunc(mapFacts, func(f typeFacts[ebpf.MapType]) bool { return f.typ == t }); i >= 0 {
		return readHost().one(mapTests().tests[i])
	}
	return ProbeFeature{Name: t.String(), Answer: ProbeUnknown, Why: "no such type is known here"}
}

// ProbeHelper asks whether programs of a type may call a helper, by its C name such as "bpf_loop".
func ProbeHelper(t ebpf.ProgramType, name string) ProbeFeature {
	fn := helperID(name)
	of := programTest(t)
	switch {
	case fn == asm.FnUnspec:
		return ProbeFeature{Name: name, Answer: ProbeUnknown, Why: "no such helper is known here"}
	case of.try == nil:
		return ProbeFeature{Name: name, Answer: ProbeUnknown, Why: fmt.Sprintf("no program type %s is known here", t)}
	}
	return readHost().one(probeTest{
		name: fmt.Sprintf("%s in %s", name, t), since: helperSince(fn), caps: of.caps, config: of.config,
		try: func() error { return features.HaveProgramHelper(t, fn) },
	})
}

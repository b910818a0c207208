package policy

import (
	"errors"
	"strings"
	"testing"
)

func TestIncludes(t *testing.T) {
	for _, c := range []struct {
		lines, need string
		ok          bool
	}{
		{"tracing", "tracing", true},
		{"tracing", "kprobe:tcp_*", true},
		{"tracing", "net-observe", true},
		{"net-observe", "tracing", false},
		{"tracing !kprobe:x", "tracing", false},
		{"tracing !kprobe:x", "kprobe:tcp_*", true},
		{"xdp@eth*", "xdp@eth1", true},
		{"xdp@eth*", "xdp@eth?", true},
		{"xdp@eth?", "xdp@eth*", false},
		{"xdp@eth*", "xdp", false},
		{"xdp@*", "xdp", true},
		{"net-forward", "net-forward@eth1", true},
		{"net-forward@eth*", "net-forward@eth1", true},
		{"net-forward@eth1", "net-forward", false},
		{"uprobe:/usr/**", "uprobe:/usr/bin/*:main", true},
		{"uprobe:/usr/*", "uprobe:/usr/**", false},
		{"uprobe:/usr/*/x", "uprobe:/usr/**/x", false},
		{"dir:/var:rw", "dir:/var/log", true},
		{"dir:/var", "dir:/var/log:rw", false},
		{"cgroup", "cgroup/connect4:/a", true},
		{"cgroup/connect4:/a", "cgroup:/a", false},
		{"cgroup:/", "cgroup", true},
		{"tracepoint:sched/*", "tracepoint", false},
		{"all", "security", true},
		{"all", "all", true},
		{"tracing", "all", false},
		{"helper:bpf_probe_read_kernel", "helper:bpf_probe_read_user", true},
		{"", "clock", true},
	} {
		if err := rightsOf(t, words(c.lines)...).Includes(mustGrant(t, c.need), nil); (err == nil) != c.ok {
			t.Errorf("with %q: %s: %v", c.lines, c.need, err)
		}
	}
}

func TestAllIsSeen(t *testing.T) {
	if !rightsOf(t, "all").All() || rightsOf(t, "tracing", "!all").All() {
		t.Error("All is wrong")
	}
	m := &Manifest{Needs: []Need{{Grant: mustGrant(t, "all")}}}
	if mustEffective(t, nil, Plugin{Manifest: m}, nil).All() {
		t.Error("a manifest gives itself all")
	}
}

func FuzzCheck(f *testing.F) {
	for i, h := range heads {
		f.Add(byte(h.kind), h.name, "", strings.TrimLeft(h.example(), ":@"), "f", i%2 == 0, i%3 == 0)
	}
	f.Add(byte(Attach), "kprobe.multi", "", "a,b*,[c]", "", false, false)
	some := rightsOf(f, "tracing", "net-forward@eth*", "cgroup/skb:/a/**", "uprobe:/usr/**:f*", "uprobe:c", "dir:/var/**:rw", "env:A*", "helper:bpf_probe_read_user",
		"!kprobe:secret_*", "!uprobe:/usr/lib/libc.so.6:m*", "!dir:/var/x/*/y", "!cgroup:/a/*/b", "!helper:bpf_probe_read", "!env:A?B")
	all := rightsOf(f, "all")
	f.Fuzz(func(t *testing.T, kind byte, hook, sub, name, symbol string, write, offset bool) {
		a := Action{Kind: Kind(kind), Hook: hook, Sub: sub, Name: name, Symbol: symbol, Write: write, Offset: offset}
		for _, r := range []*Rights{some, all, {}} {
			err := r.Check(a)
			d := r.Explain(a)
			if d.Allowed != (err == nil) {
				t.Errorf("%+v: %v, explained by %+v", a, err, d)
			}
			if err == nil {
				continue
			}
			if text := err.Error(); checkText(text) != nil || len(text) > 2000 {
				t.Errorf("%+v: %q", a, text)
			}
			if denied, ok := isDenied(err); ok && denied.Add != "" {
				more := rightsOf(t, denied.Add)
				if err := more.Check(denied.Action); err != nil {
					t.Errorf("%+v: told to add %q, and then %v", a, denied.Add, err)
				}
			}
		}
		if some.Check(a) == nil && all.Check(a) != nil {
			t.Errorf("%+v is granted, but not by all", a)
		}
		if (&Rights{}).Check(a) == nil && !isFree(&a) {
			t.Errorf("%+v is granted by nothing", a)
		}
		for _, g := range Suggest([]Action{a}) {
			if back, err := ParseGrant(g.String()); err != nil || back != g {
				t.Errorf("suggests %q: %v", g, err)
			}
		}
	})
}

// What a denial names for the policy is enough to run, not only to load.
func TestADenialOfALoadNamesTheGrantOfItsHook(t *testing.T) {
	for _, c := range []struct {
		a    Action
		want string
	}{
		{Action{Kind: Load, Name: "xdp", Hook: "xdp"}, "xdp"},
		{Action{Kind: Load, Name: "perf_event", Hook: "perf_event"}, "perf_event"},
		{Action{Kind: Load, Name: "tracepoint", Hook: "tracepoint", Symbol: "sched/sched_switch"}, "tracepoint:sched/sched_switch"},
		{Action{Kind: Load, Name: "kprobe", Hook: "uprobe"}, "uprobe"},
		{Action{Kind: Load, Name: "cgroup_sock_addr", Hook: "cgroup", Symbol: "connect4"}, "cgroup"},
		{Action{Kind: Load, Name: "xdp", Hook: "kprobe"}, "prog:xdp"}, // no hook of its own
	} {
		var denied *Denied
		if err := new(Rights).Check(c.a); !errors.As(err, &denied) || denied.Add != c.want {
			t.Errorf("%+v: %v names %q, want %q", c.a, err, denied.Add, c.want)
		}
	}
}

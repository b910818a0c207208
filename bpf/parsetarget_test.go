package bpf

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestTargetsAreRead(t *testing.T) {
	for _, c := range []struct {
		hook Hook
		text string
		want Target
	}{
		{HookXDP, "", Target{}},
		{HookXDP, "eth0", Target{Interface: "eth0"}},
		{HookXDP, "eth0:generic", Target{Interface: "eth0", Mode: XDPGeneric}},
		{HookXDP, "eth0:native", Target{Interface: "eth0", Mode: XDPNative}},
		{HookXDP, "eth0:offload", Target{Interface: "eth0", Mode: XDPOffload}},
		{HookTC, "eth0", Target{Interface: "eth0"}},
		{HookTCX, "eth0:egress", Target{Interface: "eth0", Direction: Egress}},
		{HookSockOps, "/sys/fs/cgroup/a", Target{Cgroup: "/sys/fs/cgroup/a"}},
		{HookSockOps, "a:egress", Target{Cgroup: "a:egress"}},
		{HookCgroup, "a/b:egress", Target{Cgroup: "a/b", Direction: Egress}},
		{HookUprobe, "/bin/bash:readline", Target{Path: "/bin/bash", Symbol: "readline"}},
		{HookUprobe, "/bin/a:b:f+0x10", Target{Path: "/bin/a:b", Symbol: "f", Offset: 16}},
		{HookUprobe, "/bin/x:0x1234@77", Target{Path: "/bin/x", Offset: 0x1234, PID: 77}},
		{HookUretprobe, "libc:memcpy@@GLIBC_2.14", Target{Path: "libc", Symbol: "memcpy@@GLIBC_2.14"}},
		{HookUprobeMulti, "libc:mem*@1", Target{Path: "libc", Symbol: "mem*", PID: 1}},
		{HookUSDT, "/lib/libc.so.6:libc:setjmp@9", Target{Path: "/lib/libc.so.6", Symbol: "libc:setjmp", PID: 9}},
		{HookKprobe, "vfs_read+0x1f", Target{Symbol: "vfs_read", Offset: 0x1f}},
		{HookTracepoint, "sched/sched_switch", Target{Symbol: "sched/sched_switch"}},
		{HookRawTracepoint, "sched_switch", Target{Symbol: "sched_switch"}},
		{HookSkMsg, "socks", Target{MapName: "socks"}},
		{HookSkLookup, "blue", Target{Netns: "blue"}},
		{HookNetfilter, "ipv6:forward:-10", Target{Family: "ipv6", Chain: "forward", Priority: -10}},
		{HookPerfEvent, "49@12", Target{Frequency: 49, PID: 12}},
		{HookPerfEvent, "@12", Target{PID: 12}},
		{HookPerfEvent, "cache-misses", Target{Perf: true, PerfConfig: 3}},
		{HookPerfEvent, "cpu-cycles:49@12", Target{Perf: true, Frequency: 49, PID: 12}},
		{HookPerfEvent, "page-faults/1", Target{Perf: true, PerfType: 1, PerfConfig: 2, Period: 1}},
		{HookPerfEvent, "/1000", Target{Period: 1000}},
		{HookPerfEvent, "raw:0x1c2/100000@7", Target{Perf: true, PerfType: 4, PerfConfig: 0x1c2, Period: 100000, PID: 7}},
		{HookPerfEvent, "cache:0:99", Target{Perf: true, PerfType: 3, Frequency: 99}},
		{HookKprobeMulti, "tcp_*", Target{Symbol: "tcp_*"}},
		{HookKprobeMulti, "a,b", Target{Symbols: []string{"a", "b"}}},
		{HookUprobeMulti, "libc:malloc,free@9", Target{Path: "libc", Symbols: []string{"malloc", "free"}, PID: 9}},
		{HookIter, "hits", Target{MapName: "hits"}},
		{HookIter, "@12", Target{PID: 12}},
		{HookIter, "#13", Target{TID: 13}},
		{HookIter, "cgroup:a/b", Target{Cgroup: "a/b"}},
		{HookIter, "cgroup:.:up", Target{Cgroup: ".", Order: CgroupAncestors}},
		{HookLirc, "/dev/lirc0", Target{Path: "/dev/lirc0"}},
	} {
		got, err := ParseTarget(c.hook, c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %q: got %+v, %v, want %+v", c.hook, c.text, got, err, c.want)
		}
	}
}

func TestBadTargetsSayHowTheyShouldLook(t *testing.T) {
	for _, c := range []struct {
		hook       Hook
		text, want string
	}{
		{HookXDP, "eth0:fast", "eth0:generic"},
		{HookXDP, "eth0:", "no mode"},
		{HookXDP, ":generic", "cannot be the name of an interface"},
		{HookXDP, "a-name-that-is-too-long", "cannot be the name of an interface"},
		{HookXDP, "../x", "cannot be the name of an interface"},
		{HookTC, "eth0:up", "eth0:egress"},
		{HookUprobe, "/bin/bash", "want path:function"},
		{HookUprobe, ":f", "want path:function"},
		{HookUprobe, "x:+1", "no function before"},
		{HookUprobe, "x:f+y", "no offset"},
		{HookUprobe, "x:99999999999999999999", "no offset"},
		{HookUprobe, "x:f@99999999999", "no process id"},
		{HookUprobe, "x:f@0", "no process id"},
		{HookUSDT, "x:y", "want path:provider:name"},
		{HookTracepoint, "sched_switch", "want category/name"},
		{HookNetfilter, "ipv4:input:0:0", "want family"},
		{HookNetfilter, "ipx", "no family"},
		{HookNetfilter, "ipv4:input:x", "no priority"},
		{HookPerfEvent, "fast", "no event"},
		{HookPerfEvent, "0", "no frequency"},
		{HookPerfEvent, "99:99", "more than"},
		{HookPerfEvent, "99/1", "more than"},
		{HookPerfEvent, "page-faults:1/1", "more than"},
		{HookPerfEvent, "page-faults/0", "no period"},
		{HookPerfEvent, "raw:x", "no number"},
		{HookPerfEvent, "raw", "no event"},
		{HookKprobeMulti, "a,,b", "in a list of functions"},
		{HookUprobeMulti, "libc:a,b*", "in a list of functions"},
		{HookIter, "@0", "no process id"},
		{HookIter, "#x", "no process id"},
		{HookIter, "cgroup:", "no cgroup"},
		{HookFentry, "vfs_read", "the section name decides"},
		{HookSocket, "3", "set Target.Socket"},
		{HookSyscall, "x", "takes no target"},
		{HookXDP, "eth\n0", "control characters"},
		{HookXDP, strings.Repeat("x", 10_000), "longer than"},
	} {
		_, err := ParseTarget(c.hook, c.text)
		wantError(t, err, ErrTarget, "for "+string(c.hook), c.want)
		if len(err.Error()) > 400 {
			t.Errorf("%d bytes of message", len(err.Error()))
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for i, s := range []string{"eth0:generic", "/bin/bash:readline+0x10@4711", "libc:libc:setjmp", "ipv4:input:-100", "99@1", "a/b:egress", "sched/x", "@", ":", "+"} {
		f.Add(i, s)
	}
	f.Fuzz(func(t *testing.T, n int, s string) {
		if n < 0 {
			n = -(n + 1)
		}
		hook := sectionRules[n%len(sectionRules)].hook
		target, err := ParseTarget(hook, s)
		if err != nil {
			if !errors.Is(err, ErrTarget) || !reflect.DeepEqual(target, Target{}) {
				t.Errorf("%s %q: got %+v, %v", hook, s, target, err)
			}
			return
		}
		if target.PID < 0 || target.Offset > 1<<63 {
			t.Errorf("%s %q: got %+v", hook, s, target)
		}
		if s == "" && !reflect.DeepEqual(target, Target{}) {
			t.Errorf("%s: empty text gave %+v", hook, target)
		}
	})
}

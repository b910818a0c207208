package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestWhereIsTheRealPlace(t *testing.T) {
	// The path that another process sees is this one's if both are in one mount namespace. A thread that a test has left in another one is
	// not: then the way goes through the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	seen := file
	if own != process {
		seen = fmt.Sprintf("/proc/%d/root%s", os.Getpid(), link)
	}
	for _, tc := range []struct {
		hook    Hook
		section string
		target  Target
		want    Where
	}{
		{HookXDP, "", Target{Interface: "eth1"}, Where{Name: "eth1"}},
		{HookTCX, "", Target{Interface: "eth1"}, Where{Kind: "ingress", Name: "eth1"}},
		{HookTC, "egress", Target{Interface: "eth1"}, Where{Kind: "egress", Name: "eth1"}},
		{HookTracepoint, "sched/sched_switch", Target{}, Where{Name: "sched/sched_switch"}},
		{HookTracepoint, "sched/sched_switch", Target{Symbol: "sched/sched_waking"}, Where{Name: "sched/sched_waking"}},
		{HookKprobe, "vfs_read+0x10", Target{}, Where{Name: "vfs_read", Offset: true}},
		{HookKprobeMulti, "", Target{Symbols: []string{"a", "b"}}, Where{Name: "a,b"}},
		{HookLSM, "file_open", Target{}, Where{Name: "file_open"}},
		{HookUprobe, "", Target{Path: link, Symbol: "main"}, Where{Name: file, Symbol: "main"}},
		{HookUprobe, link + ":main", Target{}, Where{Name: file, Symbol: "main"}},
		{HookUprobe, "", Target{Path: link, Symbol: "main", PID: os.Getpid()}, Where{Name: seen, Symbol: "main"}},
		{HookUprobe, "", Target{Path: file, Offset: 64}, Where{Name: file, Offset: true}},
		{HookUSDT, "", Target{Path: link, Symbol: "p:n"}, Where{Name: file, Symbol: "p:n"}},
		{HookLirc, "", Target{Path: link}, Where{Name: file}},
		{HookNetfilter, "", Target{}, Where{Name: "ipv4", Symbol: "input"}},
		{HookSkLookup, "", Target{}, Where{Name: "."}},
		{HookSkLookup, "", Target{Netns: "/proc/self/ns/../ns/net"}, Where{Name: "."}},
		{HookStructOps, "tcp_congestion_ops:init", Target{}, Where{Name: "tcp_congestion_ops"}},
	} {
		p := &Program{hook: tc.hook, attachTo: tc.section, spec: &ebpf.ProgramSpec{}}
		tc.want.Hook = tc.hook
		got, whole, err := p.Where(tc.target)
		if err != nil || got != tc.want {
			t.Errorf("%s, section %q, target %+v: got %+v, %v, want %+v", tc.hook, tc.section, tc.target, got, err, tc.want)
		}
		if whole.Path == link {
			t.Errorf("%s: the target still names the symbolic link", tc.hook)
		}
	}
}

func TestWhereRefusesWhatDoesNotExist(t *testing.T) {
	for _, tc := range []struct {
		hook   Hook
		target Target
	}{
		{HookUprobe, Target{Path: "/no/such/file", Symbol: "main"}},
		{HookSkLookup, Target{Netns: "/no/such/namespace"}},
		{HookCgroup, Target{}},
	} {
		p := &Program{hook: tc.hook, spec: &ebpf.ProgramSpec{}}
		if at, _, err := p.Where(tc.target); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: got %+v, %v, want ErrTarget", tc.hook, at, err)
		}
	}
}

func TestWhereOfACgroupIsOnePath(t *testing.T) {
	kerneltest.RequireRoot(t)
	group := kerneltest.Cgroup(t)
	p := &Program{hook: HookSockOps, spec: &ebpf.ProgramSpec{}}
	at, whole, err := p.Where(Target{Cgroup: group})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := p.Where(whole)
	if err != nil || at != again || at.Name == "/" || filepath.Base(at.Name) != filepath.Base(group) {
		t.Errorf("%s is %q, and then %q, %v", group, at.Name, again.Name, err)
	}
	root, _, err := p.Where(Target{Cgroup: "."})
	if err != nil || root.Name != "/" {
		t.Errorf("the root is %q, %v", root.Name, err)
	}
}

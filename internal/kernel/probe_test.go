package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestProbeIsQuickAndAnswersEverything(t *testing.T) {
	start := time.Now()
	r := Probe(t.Context())
	most := 10 * time.Second // 0.7 s on an idle machine
	if testing.Short() {     // an emulated one
		most = time.Minute
	}
	if d := time.Since(start); d > most {
		t.Errorf("took %s", d)
	}
	var ids []string
	for _, g := range r.Groups {
		ids = append(ids, g.ID)
		for _, f := range g.Features {
			if f.Answer == "" || f.Answer != ProbeYes && f.Why == "" {
				t.Errorf("%s: %s: answer %q without a reason", g.ID, f.Name, f.Answer)
			}
			if f.Answer == ProbeDenied && f.Get == "" {
				t.Errorf("%s: %s: denied without what to do", g.ID, f.Name)
			}
		}
	}
	if want := []string{"hooks", "features", "programs", "maps"}; !slices.Equal(ids, want) {
		t.Errorf("got groups %v, want %v", ids, want)
	}
	if r.Verdict != VerdictOK && (r.Reason == "" || r.Verdict == VerdictDenied && r.Get == "") {
		t.Errorf("verdict %s without reason or remedy: %+v", r.Verdict, r)
	}
}

func TestProbeWithoutTimeAsksNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, g := range Probe(ctx).Groups {
		for _, f := range g.Features {
			if f.Answer != ProbeUnknown {
				t.Errorf("%s: got %s, want unknown", f.Name, f.Answer)
			}
		}
	}
}

func TestProbeExplains(t *testing.T) {
	root := CapSet(1<<CapSysAdmin | 1<<CapNetAdmin | 1<<CapBPF | 1<<CapPerfmon)
	few := CapSet(1<<CapBPF | 1<<CapPerfmon)
	noTrampoline := fmt.Errorf("%w: %w", errTrampoline, &Missing{Feature: "trampolines", Cause: unix.EPERM})
	config := &Config{values: map[string]string{"CONFIG_A": "y"}}
	cases := map[string]struct {
		version Version
		caps    CapSet
		test    probeTest
		err     error
		answer  ProbeAnswer
		why     string
	}{
		"too old":       {Version{5, 4, 0}, root, probeTest{since: "5.8"}, unix.EINVAL, ProbeNo, "Linux 5.4.0 is too old"},
		"config":        {Version{6, 1, 0}, root, probeTest{config: []string{"CONFIG_A", "CONFIG_B"}}, unix.EINVAL, ProbeNo, "kernel built without CONFIG_B"},
		"no privilege":  {Version{6, 1, 0}, 0, probeTest{caps: capsTrace}, unix.EPERM, ProbeDenied, "needs CAP_BPF and CAP_PERFMON"},
		"before 5.8":    {Version{5, 4, 0}, 0, probeTest{caps: capsTrace}, unix.EPERM, ProbeDenied, "needs CAP_SYS_ADMIN"},
		"refused":       {Version{6, 1, 0}, root, probeTest{caps: capsTrace}, unix.EPERM, ProbeNo, "the kernel refuses it whatever the privileges (EPERM)"},
		"administrator": {Version{6, 1, 0}, few, probeTest{caps: capsTrace}, unix.EPERM, ProbeDenied, "refused (EPERM); CAP_SYS_ADMIN may be missing"},
		"trampoline":    {Version{6, 1, 0}, root, probeTest{caps: capsTrace}, noTrampoline, ProbeNo, "needs a BPF trampoline, which this kernel refuses (EPERM)"},
		"not known":     {Version{6, 1, 0}, few, probeTest{caps: capsTrace}, noTrampoline, ProbeDenied, "refused (EPERM); CAP_SYS_ADMIN may be missing"},
		"named":         {Version{6, 1, 0}, few, probeTest{caps: capsTrace}, &Denied{What: "uprobe", Capability: "CAP_SYS_ADMIN"}, ProbeDenied, "needs CAP_SYS_ADMIN"},
		"not there":     {Version{6, 1, 0}, root, probeTest{}, ebpf.ErrNotSupported, ProbeNo, "this kernel does not have it (not supported)"},
		"something new": {Version{6, 1, 0}, root, probeTest{}, errors.New("odd\nmore"), ProbeUnknown, "odd"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := &probeHost{version: c.version, caps: c.caps, initialUserNS: true, config: config}
			answer, why, _ := h.explain(c.test, c.err)
			if answer != c.answer || why != c.why {
				t.Errorf("got %s, %q, want %s, %q", answer, why, c.answer, c.why)
			}
		})
	}
}

func TestProbeAdvises(t *testing.T) {
	noTrampoline := fmt.Errorf("%w: %w", errTrampoline, &Missing{Feature: "trampolines", Cause: unix.EPERM})
	cases := map[string]struct {
		caps CapSet
		held []string
		err  error
		want string
	}{
		"policy": {1 << CapSysAdmin, nil, noTrampoline, "a kernel whose policy allows BPF trampolines (this one refuses them even to root)"},
		"setcap keeps what the file has": {1<<CapBPF | 1<<CapPerfmon, []string{"CAP_BPF", "CAP_PERFMON"}, unix.EACCES,
			"run as root, or once: sudo setcap cap_bpf,cap_perfmon,cap_sys_admin+ep $(command -v bowline)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := &probeHost{version: Version{6, 1, 0}, caps: c.caps, initialUserNS: true, privileges: ProbePrivileges{Held: c.held}}
			if _, _, get := h.explain(probeTest{caps: capsTrace}, c.err); get != c.want {
				t.Errorf("got %q, want %q", get, c.want)
			}
		})
	}
}

func TestProbeVerdictBlamesTheKernelOnlyAsRoot(t *testing.T) {
	for caps, want := range map[CapSet]ProbeVerdict{
		1<<CapBPF | 1<<CapPerfmon: VerdictDenied, 1 << CapSysAdmin: VerdictUnusable, 0: VerdictDenied,
	} {
		h := &probeHost{version: Version{6, 1, 0}, caps: caps, initialUserNS: true}
		if got, reason, get := h.verdict(unix.EPERM); got != want || reason == "" || get == "" {
			t.Errorf("capabilities %x: got %s, %q, %q, want %s", caps, got, reason, get, want)
		}
	}
}

func TestOldestKernelIsThatOfTheNewestNeed(t *testing.T) {
	cases := map[string]struct {
		needs Needs
		want  string
	}{
		"nothing":   {Needs{}, ""},
		"a map":     {Needs{Maps: []ebpf.MapType{ebpf.Hash, ebpf.RingBuf}}, "5.8"},
		"a program": {Needs{Programs: []ebpf.ProgramType{ebpf.SkLookup}, Maps: []ebpf.MapType{ebpf.Array}}, "5.9"},
		"a hook":    {Needs{Programs: []ebpf.ProgramType{ebpf.Kprobe}, Hooks: []string{"kprobe.multi"}}, "5.18"},
		"a probe":   {Needs{Programs: []ebpf.ProgramType{ebpf.Kprobe}, Hooks: []string{"uprobe"}}, "4.3"},
		"a cgroup":  {Needs{Programs: []ebpf.ProgramType{ebpf.CGroupSysctl}, Hooks: []string{"cgroup"}}, "5.2"},
		"a helper":  {Needs{Helpers: []string{"bpf_map_lookup_elem", "bpf_get_ns_current_pid_tgid"}}, "5.7"},
		"BTF":       {Needs{BTF: true, GlobalData: true}, "5.4"},
		"unknown":   {Needs{Helpers: []string{"bpf_nothing"}, Hooks: []string{"nothing"}}, ""},
	}
	for name, c := range cases {
		if got, _ := OldestKernel(c.needs); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestHelperVersionsKnowEveryHelper(t *testing.T) {
	for name, want := range map[string]string{
		"bpf_map_lookup_elem": "3.19", "bpf_trace_printk": "4.1", "bpf_perf_event_output": "4.4", "bpf_redirect_map": "4.14",
		"bpf_fib_lookup": "4.18", "bpf_probe_read_kernel": "5.5", "bpf_ringbuf_output": "5.8", "bpf_ringbuf_query": "5.8",
		"bpf_redirect_peer": "5.10", "bpf_timer_init": "5.15", "bpf_loop": "5.17", "bpf_dynptr_data": "5.19",
		"bpf_user_ringbuf_drain": "6.1", "bpf_cgrp_storage_delete": "6.2",
	} {
		if got := short(HelperSince(name)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

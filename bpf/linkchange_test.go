package bpf

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// verdict is a program that only returns a number.
func verdict(t *testing.T, section string, n int32) *Program {
	t.Helper()
	kerneltest.RequireRoot(t)
	return generated(t, ProgramOptions{Name: "verdict", Section: section, License: "GPL", Insns: code(t, ret(n)...)})
}

func TestUpdateChangesOnlyWhatIsExpected(t *testing.T) {
	pair(t)
	a, b, c := verdict(t, "xdp", 2), verdict(t, "xdp", 2), verdict(t, "xdp", 2)
	l := attachOwn(t, a, Target{Interface: "vb", Mode: XDPGeneric})
	runs := func(want *Program) {
		t.Helper()
		info, err := l.Info()
		p, infoErr := want.Info()
		if err != nil || infoErr != nil || info.Program != p.ID || info.Kind != LinkXDP || info.Interface == 0 || info.Count != 1 {
			t.Errorf("got %+v, %v, want program %d, %v", info, err, p.ID, infoErr)
		}
	}
	runs(a)
	wantError(t, l.UpdateFrom(c, b), ErrBusy, "verdict is not the attached program")
	runs(a)
	if err := l.UpdateFrom(b, a); err != nil {
		t.Fatal(err)
	}
	runs(b)
	if err := l.Update(c); err != nil || l.Program() != c {
		t.Fatal(err)
	}
	runs(c)
	if err := l.Update(verdict(t, "tc", 0)); err == nil {
		t.Error("a program of another type was taken")
	}
	wantError(t, l.Update(nil), os.ErrClosed)
	wantError(t, l.UpdateFrom(a, nil), os.ErrClosed)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, l.Update(b), os.ErrClosed)
	wantError(t, l.UpdateFrom(a, b), os.ErrClosed)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, l.Update(a), os.ErrClosed)
	wantError(t, l.Detach(), os.ErrClosed)
	_, err := l.Info()
	wantError(t, err, os.ErrClosed)
}

func TestTracingLinksAreNotUpdatedNorDetached(t *testing.T) {
	a := verdict(t, "raw_tracepoint/sys_enter", 0)
	l := attachOwn(t, a, Target{})
	wantError(t, l.Update(a), ErrUnsupported, "detached and attached again")
	wantError(t, l.UpdateFrom(a, a), ErrUnsupported)
	wantError(t, l.Detach(), ErrUnsupported, "raw_tracepoint", "closed by all who hold it")
}

func TestDetachEndsAlsoAPinnedLink(t *testing.T) {
	send := pair(t)
	o, p := loadHook(t, "net", "tc_plain")
	l := mustAttach(t, p, Target{Interface: "vb"})
	if l.Mode() != "tcx" {
		t.Skip("no links of tcx here")
	}
	pin := kerneltest.Bpffs(t) + "/l"
	if err := l.Pin(pin); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(pin) })
	send()
	before := hits(t, o)
	if err := l.Detach(); err != nil {
		t.Fatal(err)
	}
	info, err := l.Info()
	if err != nil || info.Interface != 0 || info.Kind != LinkTCX {
		t.Errorf("got %+v, %v, want a link to nothing", info, err)
	}
	send()
	if got := hits(t, o); before == 0 || got != before {
		t.Errorf("ran %d times, then %d after it was detached", before, got)
	}
}

func TestDetachWithoutALinkIsDoneOnce(t *testing.T) {
	send := pair(t)
	o, p := loadHook(t, "net", "tc_plain")
	l := classic(t, p, "vb", Ingress)
	if info, err := l.Info(); err != nil || info.Kind != LinkNone || info.ID != 0 || info.Program == 0 {
		t.Errorf("got %+v, %v", info, err)
	}
	if err := errors.Join(l.Detach(), l.Detach()); err != nil {
		t.Fatal(err)
	}
	send()
	if n, left := hits(t, o), qdiscs(t, "vb"); n != 0 || left != 0 {
		t.Errorf("ran %d times, %d qdiscs left", n, left)
	}
	wantError(t, l.Update(p), ErrUnsupported)
}

func TestLinksTellWhereTheyAre(t *testing.T) {
	pair(t)
	group := kerneltest.Cgroup(t)
	id, err := kernel.CgroupID(group)
	if err != nil {
		t.Fatal(err)
	}
	info := func(section string, n int32, target Target) LinkInfo {
		t.Helper()
		l := attachOwn(t, verdict(t, section, n), target)
		i, err := l.Info()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	if i := info("cgroup_skb/egress", 1, Target{Cgroup: group}); i.Kind != LinkCgroup || i.Cgroup != id || i.AttachType != ebpf.AttachCGroupInetEgress {
		t.Errorf("got %+v", i)
	}
	if i := info("sk_lookup", 1, Target{}); i.Kind != LinkNetns || i.Netns == 0 || i.AttachType != ebpf.AttachSkLookup {
		t.Errorf("got %+v", i)
	}
	if !kernel.Running().AtLeast(6, 4) {
		t.Log("no links of netfilter before Linux 6.4")
	} else if i := info("netfilter", 1, Target{Family: "ipv6", Chain: "output", Priority: -7}); i.Kind != LinkNetfilter || i.Family != 10 || i.Chain != 3 || i.Priority != -7 {
		t.Errorf("got %+v", i)
	}
	if i := info("tracepoint/sched/sched_process_exec", 0, Target{Cookie: 5}); i.Kind != LinkPerfEvent ||
		kernel.Running().AtLeast(6, 6) && i.Name != "sched_process_exec" || kernel.Running().AtLeast(6, 9) && i.Cookie != 5 {
		t.Errorf("got %+v", i)
	}
	kind := LinkPerfEvent
	if kernel.Running().AtLeast(6, 10) {
		kind = LinkUprobeMulti
	}
	if i := info("uprobe", 0, Target{Path: self, Offset: probedOffset(t), Cookie: 6}); kernel.Running().AtLeast(6, 6) &&
		(i.Kind != kind || i.Name == "" || i.Offset != probedOffset(t)) || kernel.Running().AtLeast(6, 9) && i.Cookie != 6 {
		t.Errorf("got %+v", i)
	}
	if kernel.Kprobes() == nil {
		i := info("kprobe/vfs_read", 0, Target{})
		if kernel.Running().AtLeast(6, 6) && (i.Kind != LinkPerfEvent || i.Name != "vfs_read" || i.Offset != 0) {
			t.Errorf("got %+v", i)
		}
	}
	if i := info("raw_tracepoint/sched_process_exec", 0, Target{}); i.Kind != LinkRawTracepoint || i.Name != "sched_process_exec" {
		t.Errorf("got %+v", i)
	}
	if i := info("perf_event", 0, Target{Frequency: 1}); i.Kind != LinkPerfEvent || i.Count < 1 || kernel.Running().AtLeast(6, 6) && i.PerfType == 0 { // the kernel gives its clock a type of its own
		t.Errorf("got %+v", i)
	}
}

func TestProgramsGoWhereTheyAreTold(t *testing.T) {
	pair(t)
	count := func(p *Program) (uint32, *Program) {
		i, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		return i.ID, p
	}
	attach := func(target Target) (uint32, *Link) {
		t.Helper()
		target.Interface = "vb"
		id, p := count(verdict(t, "tcx/ingress", -1))
		return id, attachOwn(t, p, target)
	}
	second, anchor := attach(Target{})
	if anchor.Mode() != "tcx" {
		t.Skip("no tcx here")
	}
	fourth, _ := attach(Target{Place: PlaceLast})
	first, _ := attach(Target{Place: PlaceFirst})
	third, _ := attach(Target{Place: PlaceAfter, Anchor: anchor})
	between, _ := attach(Target{Place: PlaceBefore, AnchorProgram: anchor.Program()})
	order := tcxOrder(t, "vb")
	want := []uint32{first, between, second, third, fourth}
	if !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
	p := verdict(t, "tcx/ingress", -1)
	for _, c := range []struct {
		target Target
		word   string
	}{
		{Target{Place: "middle"}, "no place"},
		{Target{Place: PlaceBefore}, "no link or program"},
		{Target{Place: PlaceFirst, Anchor: anchor}, "want before or after"},
		{Target{Place: PlaceAfter, Anchor: anchor, AnchorProgram: p}, "want one"},
		{Target{Place: PlaceAfter, AnchorProgram: p}, "not attached"},
		{Target{Place: PlaceAfter, Anchor: attachOwn(t, verdict(t, "tcx/egress", -1), Target{Interface: "vb"})}, "not attached"},
	} {
		c.target.Interface = "vb"
		_, err := p.Attach(c.target)
		wantError(t, err, ErrTarget, c.word)
	}
	if err := anchor.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := p.Attach(Target{Interface: "vb", Place: PlaceAfter, Anchor: anchor})
	wantError(t, err, os.ErrClosed)
}

func TestCgroupProgramsGoWhereTheyAreTold(t *testing.T) {
	kerneltest.RequireRoot(t)
	group := kerneltest.Cgroup(t)
	attach := func(target Target) (uint32, *Link) {
		t.Helper()
		target.Cgroup = group
		p := verdict(t, "cgroup_skb/egress", 1)
		l, err := p.Attach(target)
		if errors.Is(err, ErrUnsupported) && !kernel.Running().AtLeast(6, 17) { // Debian's 6.12 has it all the same
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		info, err := l.Info()
		if err != nil {
			t.Fatal(err)
		}
		return info.Program, l
	}
	third, anchor := attach(Target{})
	first, _ := attach(Target{Place: PlaceFirst})
	fifth, _ := attach(Target{Place: PlaceLast})
	second, _ := attach(Target{Place: PlaceBefore, Anchor: anchor})
	fourth, other := attach(Target{Place: PlaceAfter, Anchor: anchor})
	dir, err := kernel.OpenCgroup(group)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r, err := link.QueryPrograms(link.QueryOptions{Target: int(dir.Fd()), Attach: ebpf.AttachCGroupInetEgress})
	if err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for _, p := range r.Programs {
		got = append(got, uint32(p.ID))
	}
	if want := []uint32{first, second, third, fourth, fifth}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	_, err = other.Program().Attach(Target{Cgroup: group, Place: PlaceAfter, AnchorProgram: verdict(t, "cgroup_skb/egress", 1)})
	if kernel.Running().AtLeast(6, 17) {
		wantError(t, err, ErrTarget, "not attached")
	} else {
		wantError(t, err, ErrUnsupported, "Linux 6.17, or an anchor")
	}
	_, err = other.Program().Attach(Target{Cgroup: group, Place: "middle"})
	wantError(t, err, ErrTarget, "no place")
}

package bpf

import (
	"encoding/binary"
	"os"
	"os/exec"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestTracepointRunsWithoutTracefs(t *testing.T) {
	_, p := loadHook(t, "trace", "tp")
	checkRuns(t, mustAttach(t, p, Target{}), getpgid)
}

func TestTracepointOfOldSectionName(t *testing.T) {
	_, p := loadHook(t, "trace", "tp_old")
	checkRuns(t, mustAttach(t, p, Target{}), func() {
		if err := exec.Command("true").Run(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTracepointByTarget(t *testing.T) {
	o, p := loadHook(t, "trace", "tp_open")
	_, err := o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "no tracepoint given", "sched/sched_process_exec")
	checkRuns(t, mustAttach(t, p, Target{Symbol: "syscalls/sys_enter_getpgid"}), getpgid)
}

func TestMissingTracepointSaysWhatThereIs(t *testing.T) {
	o, p := loadHook(t, "trace", "tp_open")
	for _, c := range []struct{ symbol, want string }{
		{"syscalls/sched_switch", "sched/sched_switch"},
		{"nonsense/event", `no category "nonsense"`},
		{"sched/no_such_event", `no "no_such_event" in category sched`},
		{"sched_switch", "want category/name"},
		{"../..", "no such tracepoint"},
	} {
		_, err := o.Attach(p, Target{Symbol: c.symbol})
		wantError(t, err, ErrTarget, "attach tracepoint to "+c.symbol, c.want)
	}
}

func TestCookieReachesTheProgram(t *testing.T) {
	o, p := loadHook(t, "trace", "with_cookie")
	l := mustAttach(t, p, Target{Cookie: 0x1234567890})
	getpgid()
	m, err := o.Map(".bss")
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, m.ValueSize())
	if err := m.LookupInto(make([]byte, 4), value, 0); err != nil {
		t.Fatal(err)
	}
	if got := binary.NativeEndian.Uint64(value); got != 0x1234567890 {
		t.Errorf("got cookie %#x", got)
	}
	checkRuns(t, l, getpgid)
}

func TestRawTracepointRuns(t *testing.T) {
	_, p := loadHook(t, "trace", "raw")
	checkRuns(t, mustAttach(t, p, Target{}), getpgid)
}

func TestMissingRawTracepoint(t *testing.T) {
	o, p := loadHook(t, "trace", "raw_missing")
	_, err := o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "attach raw_tracepoint to no_such_tracepoint: no such tracepoint")
}

func TestPinnedLinkOutlivesClose(t *testing.T) {
	o, p := loadHook(t, "trace", "raw")
	dir := kerneltest.Bpffs(t)
	l := mustAttach(t, p, Target{})
	wantError(t, l.Pin(t.TempDir()+"/pin"), ErrTarget, "mount -t bpf bpf /sys/fs/bpf")
	if err := l.Pin(dir + "/pin"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := hits(t, o)
	getpgid()
	if got := hits(t, o); got <= before {
		t.Error("the pinned link does not run")
	}
	if err := os.Remove(dir + "/pin"); err != nil {
		t.Fatal(err)
	}
}

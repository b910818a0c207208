package bpf

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// The kernel waits in each close until no CPU runs the program: one after the other, these would take half a minute.
func TestManyUprobesEndTogether(t *testing.T) {
	_, p := loadHook(t, "trace", "up")
	if !p.multi {
		t.Skip("the kernel gives uprobes of perf up one after the other")
	}
	target := Target{Path: self, Offset: probedOffset(t)}
	const many = 300
	var links []*Link
	for range many {
		links = append(links, mustAttach(t, p, target))
	}
	before := time.Now()
	if err := links[0].Close(); err != nil {
		t.Fatal(err)
	}
	one := time.Since(before)
	var gone atomic.Int32
	before = time.Now()
	if err := CloseLinks(links, -1, func(*Link) { gone.Add(1) }); err != nil {
		t.Fatal(err)
	}
	all := time.Since(before)
	t.Logf("one took %v, %d together %v", one, many, all)
	if gone.Load() != many { // of the one that was closed before, too
		t.Errorf("told of %d, want %d", gone.Load(), many)
	}
	if all > many/3*max(one, 10*time.Millisecond) {
		t.Errorf("one took %v, %d together %v", one, many, all)
	}
}

// What the kernel can only do one by one does not keep the caller, but no program runs any more.
func TestPerfEventsMayGoLater(t *testing.T) {
	o, p := loadHook(t, "trace", "tp")
	fs, err := kernel.Tracefs()
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	events, err := fs.ReadFile("available_events")
	if err != nil {
		t.Fatal(err)
	}
	links := []*Link{mustAttach(t, p, Target{Symbol: "syscalls/sys_enter_getpgid"})}
	for _, e := range strings.Fields(string(events)) {
		category, name, _ := strings.Cut(e, ":")
		if slices.Contains([]string{"writeback", "block", "signal", "timer", "skb", "net"}, category) && len(links) < 24 {
			links = append(links, mustAttach(t, p, Target{Symbol: category + "/" + name}))
		}
	}
	gone := make(chan *Link, len(links))
	if err := CloseLinks(links, 0, func(l *Link) { gone <- l }); err != nil {
		t.Fatal(err)
	}
	if len(gone) == len(links) {
		t.Log("the kernel gives perf events up at once")
	}
	before := hits(t, o)
	getpgid()
	if got := hits(t, o); got != before {
		t.Error("a program ran after its link was closed")
	}
	for range links {
		<-gone
	}
	if len(gone) != 0 {
		t.Error("told of a link twice")
	}
}

func TestAnAttachTakesNoMoreLinksThanItMay(t *testing.T) {
	o, p := loadHook(t, "trace", "sample")
	cpus, err := kernel.OnlineCPUs()
	if err != nil || len(cpus) < 2 {
		t.Skip("needs two CPUs")
	}
	_, err = o.Attach(p, Target{Frequency: 1, MaxLinks: len(cpus) - 1})
	wantError(t, err, ErrTooManyLinks, "takes more than")
	l := mustAttach(t, p, Target{Frequency: 1, MaxLinks: len(cpus)})
	if links, files := l.Held(); links != len(cpus) || files < links || files > 2*links {
		t.Errorf("%d links and %d files, want %d links", links, files, len(cpus))
	}
}

package kerneltest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"go.uber.org/goleak"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// settle is how long the kernel may take to let go of what was closed.
const settle = 3 * time.Second

// Main runs the tests of a package and fails if they leave file descriptors, goroutines, threads in other network namespaces,
// mounts, named network namespaces, or BPF programs, maps or links that nobody holds. What is given beside them is called after the
// tests. Call it from TestMain.
func Main(m *testing.M, after ...func()) {
	warmUp()
	before := take()
	code := m.Run()
	for _, f := range after {
		f()
	}
	if leaks := before.wait(); len(leaks) > 0 {
		fmt.Fprintf(os.Stderr, "kerneltest: the tests of this package left something behind:\n  %s\n", strings.Join(leaks, "\n  "))
		code = max(code, 1)
	}
	os.Exit(code)
}

// warmUp opens what the Go runtime and cilium/ebpf open once and keep.
func warmUp() {
	r, w, err := os.Pipe() // starts the poller
	if err == nil {
		r.Close()
		w.Close()
	}
}

// state is what must be the same before and after.
type state struct {
	fds        map[int]string
	namespaces map[string]bool
	mounts     []string
	netns      []string
	ids        map[string][]uint32
}

func take() *state {
	s := &state{fds: openFDs(), namespaces: threadNamespaces(), netns: namedNetns(), ids: map[string][]uint32{}}
	s.mounts = interestingMounts()
	s.ids["prog_id"], s.ids["map_id"], s.ids["link_id"] = programIDs(), mapIDs(), linkIDs()
	return s
}

// wait gives the kernel time, because it frees programs and threads some time after they were closed. A leak is what is there at
// every look: other processes that load and unload programs meanwhile leave some that nobody holds for a moment.
func (s *state) wait() []string {
	deadline := time.Now().Add(settle)
	leaks := s.leaks()
	for len(leaks) > 0 {
		if time.Now().After(deadline) {
			return leaks
		}
		time.Sleep(10 * time.Millisecond)
		runtime.GC() // closes what cilium/ebpf would close for whoever forgot; that is a leak too, found by its own check below
		now := s.leaks()
		leaks = slices.DeleteFunc(leaks, func(l string) bool { return !slices.Contains(now, l) })
	}
	if err := goleak.Find(); err != nil {
		return []string{err.Error()}
	}
	return nil
}

func (s *state) leaks() []string {
	var leaks []string
	for fd, what := range openFDs() {
		if s.fds[fd] != what && !strings.HasPrefix(what, "/proc/") && !runtimeOwned(what) {
			leaks = append(leaks, fmt.Sprintf("file descriptor %d: %s", fd, what))
		}
	}
	for ns := range threadNamespaces() {
		if !s.namespaces[ns] {
			leaks = append(leaks, "a thread in network namespace "+ns)
		}
	}
	for _, m := range interestingMounts() {
		if !slices.Contains(s.mounts, m) {
			leaks = append(leaks, "mount "+m)
		}
	}
	for _, n := range namedNetns() {
		if !slices.Contains(s.netns, n) {
			leaks = append(leaks, "network namespace "+n)
		}
	}
	return append(leaks, s.objects()...)
}

// runtimeOwned are the descriptors of Go's poller.
func runtimeOwned(what string) bool {
	return what == "anon_inode:[eventpoll]" || what == "anon_inode:[eventfd]"
}

// objects lists BPF objects that are new and that no process has open: they are pinned or attached without an owner. Objects that
// other processes make meanwhile are held by them.
func (s *state) objects() []string {
	now := map[string][]uint32{"prog_id": programIDs(), "map_id": mapIDs(), "link_id": linkIDs()}
	fresh := func(kind string, id uint32) bool { return !slices.Contains(s.ids[kind], id) }
	any := false
	for kind, ids := range now {
		any = any || slices.ContainsFunc(ids, func(id uint32) bool { return fresh(kind, id) })
	}
	if !any {
		return nil
	}
	open := held()
	var leaks []string
	for kind, ids := range now {
		for _, id := range ids {
			if fresh(kind, id) && !open[kind][id] && !heldIndirectly(kind, id, open) {
				leaks = append(leaks, fmt.Sprintf("BPF object %s %d", kind, id))
			}
		}
	}
	slices.Sort(leaks)
	return leaks
}

// heldIndirectly reports whether a program is kept by a link, or a map by a program, that some process has open.
func heldIndirectly(kind string, id uint32, open map[string]map[uint32]bool) bool {
	switch kind {
	case "prog_id":
		for l := range open["link_id"] {
			if linkProgram(l) == id {
				return true
			}
		}
	case "map_id":
		for p := range open["prog_id"] {
			if slices.Contains(programMaps(p), id) {
				return true
			}
		}
		for l := range open["link_id"] {
			if slices.Contains(programMaps(linkProgram(l)), id) {
				return true
			}
		}
	}
	return false
}

func linkProgram(id uint32) uint32 {
	l, err := link.NewFromID(link.ID(id))
	if err != nil {
		return 0
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0
	}
	return uint32(info.Program)
}

func programMaps(id uint32) []uint32 {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return nil
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return nil
	}
	ids, _ := info.MapIDs()
	var out []uint32
	for _, m := range ids {
		out = append(out, uint32(m))
	}
	return out
}

func programIDs() []uint32 { return listIDs(ebpf.ProgramGetNextID) }
func mapIDs() []uint32     { return listIDs(ebpf.MapGetNextID) }

func linkIDs() []uint32 {
	var ids []uint32
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		ids = append(ids, uint32(it.ID))
	}
	return ids
}

func listIDs[ID ~uint32](next func(ID) (ID, error)) []uint32 {
	var ids []uint32
	for id := ID(0); ; {
		n, err := next(id)
		if err != nil { // the end, or no privilege
			return ids
		}
		ids = append(ids, uint32(n))
		id = n
	}
}

// interestingMounts are those that code under test could have made.
func interestingMounts() []string {
	all, err := kernel.Mounts()
	if err != nil {
		return nil
	}
	var found []string
	for _, m := range all {
		switch m.Type {
		case "tracefs", "debugfs", "bpf", "cgroup2", "securityfs", "nsfs":
			found = append(found, m.Type+" on "+m.Point)
		}
	}
	return found
}

func namedNetns() []string {
	entries, err := os.ReadDir("/run/netns")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
)

// execsnoop is a plugin that traces, with its policy. The file of the policy comes last.
var execsnoop = []string{"../../examples/execsnoop/execsnoop.wasm", "--policy", "../../examples/execsnoop/policy.yaml"}

// requireBPF skips a test where execsnoop cannot run.
func requireBPF(t *testing.T) kernel.CapSet {
	t.Helper()
	have, err := kernel.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	if missing := have.Missing(kernel.CapBPF, kernel.CapPerfmon, kernel.CapSysAdmin); len(missing) > 0 {
		t.Skip("needs root: run it with sudo")
	}
	if !kernel.Running().AtLeast(5, 8) {
		t.Skip("this kernel has no CAP_BPF")
	}
	return have
}

// lines are what the statuses of a process's threads say in one line, each once.
func lines(t *testing.T, pid int, line string) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	var found []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(l), line+":\t"); ok && !slices.Contains(found, v) {
				found = append(found, v)
			}
		}
	}
	return found
}

// sets reads a line that all threads of a process must have in common.
func sets(t *testing.T, pid int, line string) string {
	t.Helper()
	found := lines(t, pid, line)
	if len(found) != 1 {
		t.Errorf("%s of the threads of process %d are %q", line, pid, found)
	}
	return strings.Join(found, " ")
}

func checkHolds(t *testing.T, pid int, want kernel.CapSet) {
	t.Helper()
	for _, c := range []struct {
		line string
		want kernel.CapSet
	}{{"CapPrm", want}, {"CapEff", want}, {"CapInh", 0}, {"CapAmb", 0}} {
		if got := sets(t, pid, c.line); got != fmt.Sprintf("%016x", uint64(c.want)) {
			t.Errorf("%s is %s, want %s", c.line, got, c.want)
		}
	}
	if got := sets(t, pid, "NoNewPrivs"); got != "1" {
		t.Errorf("NoNewPrivs is %s", got)
	}
}

func TestTheProcessHoldsOnlyWhatThePluginNeeds(t *testing.T) {
	have := requireBPF(t)
	trace := kernel.Caps(kernel.CapBPF, kernel.CapPerfmon)
	for _, c := range []struct {
		name string
		args []string
		want kernel.CapSet
	}{
		{"execsnoop", execsnoop, trace},
		{"a plain program", []string{"testdata/loop.wasm", "--allow", "all"}, 0},
		{"a directory", []string{"testdata/loop.wasm", "--dir", "/etc"}, kernel.Caps(kernel.CapDACReadSearch)},
		{"a capability more", append([]string{"--privileges", "needed,cap_sys_admin"}, execsnoop...), trace | kernel.Caps(kernel.CapSysAdmin)},
	} {
		for _, isolate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, isolated %v", c.name, isolate), func(t *testing.T) {
				s := start(t, isolate, c.args...)
				checkHolds(t, s.plugin, c.want&have)
				if isolate {
					most := (node.MostCapabilities() | c.want) & have
					if got := sets(t, s.plugin, "CapBnd"); got != fmt.Sprintf("%016x", uint64(most)) {
						t.Errorf("CapBnd is %s, want %s", got, most)
					}
					kerneltest.Eventually(t, "the process that waits holds nothing", func() bool {
						l := lines(t, s.parent, "CapPrm")
						return len(l) == 1 && (l[0] == "0000000000000000" || l[0] == "0000000000000002") // to remove a control group
					})
				}
			})
		}
	}
	s := start(t, false, append([]string{"--privileges", "keep"}, execsnoop...)...)
	if got := sets(t, s.plugin, "CapEff"); got != fmt.Sprintf("%016x", uint64(have)) {
		t.Errorf("with --privileges keep it holds %s, want %s", got, have)
	}
}

// A user who is not root, with ambient capabilities: no file capabilities, no CAP_SETPCAP.
func TestAnotherUserWithCapabilities(t *testing.T) {
	requireBPF(t)
	dir, err := os.MkdirTemp("", "bowline-user-") // that of the test is for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{execsnoop[0], execsnoop[2]} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for _, isolate := range []bool{false, true} {
		args := []string{"run", "execsnoop.wasm", "--policy", "policy.yaml", "--cache", "off"}
		if isolate {
			args = append(args, "--isolate")
		}
		c := command(t, args...)
		c.Path, c.Dir, c.ExtraFiles = "/proc/self/fd/3", dir, []*os.File{exe}
		c.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
			AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_NET_ADMIN},
		}
		s := startCommand(t, isolate, c)
		trace := fmt.Sprintf("%016x", uint64(kernel.Caps(kernel.CapBPF, kernel.CapPerfmon)))
		for _, line := range []string{"CapPrm", "CapEff"} {
			if got := sets(t, s.plugin, line); got != trace {
				t.Errorf("isolated %v: %s is %s, want %s", isolate, line, got, trace)
			}
		}
		if got := sets(t, s.plugin, "NoNewPrivs"); got != "1" {
			t.Errorf("isolated %v: NoNewPrivs is %s", isolate, got)
		}
		signalTo(t, s.parent, unix.SIGTERM)
		if code := s.ended(t); code != 130 {
			t.Errorf("isolated %v: exit code %d, want 130\n%s", isolate, code, s.stderr.String())
		}
	}
}

func TestTheKernelFreesWhatAKilledPluginHadAttached(t *testing.T) {
	requireBPF(t)
	s := start(t, true, execsnoop...)
	var links []link.ID
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", s.plugin))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for l := range strings.Lines(string(b)) {
			var id uint32
			if n, _ := fmt.Sscanf(l, "link_id: %d", &id); n == 1 {
				links = append(links, link.ID(id))
			}
		}
	}
	if len(links) != 2 {
		t.Fatalf("execsnoop has links %v, want two", links)
	}
	gone := watchEnd(t, s.plugin)
	signalTo(t, s.plugin, unix.SIGSTOP)
	signalTo(t, s.parent, unix.SIGTERM)
	if code := s.ended(t); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	gone()
	for _, id := range links {
		if l, err := link.NewFromID(id); err == nil {
			t.Errorf("link %d is still there", id)
			l.Close()
		}
	}
}

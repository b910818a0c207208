package ebpf

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

const rawTracepoint = "raw_tracepoint/sys_enter"

// used is how much of a limit is in use.
func (p *puppet) used(limit string) int { return p.inst.s.Budget().Used()[limit] }

// At each limit the guest gets an errno and a text that says how to raise it, the kernel is not asked, and what is closed can be had
// again.
func TestEachLimitEndsWithItsName(t *testing.T) {
	for _, c := range []struct {
		limit string
		opts  session.Options
		errno abi.Errno
		more  func(p *puppet, out ptr) (name string, args []any) // takes one more
	}{
		{"programs", session.Options{Programs: 3}, abi.NOMEM, func(p *puppet, out ptr) (string, []any) {
			code := insns(p.t, asm.Mov.Imm(asm.R0, 1), asm.Return())
			o := abi.ProgramOptions{Section: p.text("xdp"), License: p.text("GPL"), Insns: abi.Span{Ptr: p.put(code), Len: uint32(len(code))}}
			return "program_load", []any{encode(p.t, &o), out}
		}},
		{"links", session.Options{Links: 3}, abi.NOMEM, func(p *puppet, out ptr) (string, []any) {
			return "link_attach", []any{p.returning(rawTracepoint, 0), span{}, out}
		}},
		{"files", session.Options{Files: 3}, abi.MFILE, func(p *puppet, out ptr) (string, []any) {
			return "map_create", []any{encode(p.t, &abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 1}), "one", out}
		}},
		{"handles", session.Options{Handles: 3}, abi.MFILE, func(p *puppet, out ptr) (string, []any) {
			return "events_open", []any{out}
		}},
	} {
		t.Run(c.limit, func(t *testing.T) {
			withOptions(t, c.opts, func(t *testing.T, p *puppet) {
				var open []int32
				for range 3 {
					out := p.room(4)
					name, args := c.more(p, ptr(out.ptr))
					p.ok(name, args...)
					open = append(open, int32(p.u32(out.ptr)))
				}
				out := p.room(4)
				name, args := c.more(p, ptr(out.ptr))
				p.limited(c.limit, c.errno, name, args...)
				if got := p.used(c.limit); got != 3 {
					t.Errorf("%d are in use after a refusal, want 3", got)
				}
				p.ok("close", open[0])
				name, args = c.more(p, ptr(out.ptr))
				kerneltest.Eventually(t, "give it back", func() bool { return p.call(name, args...) == abi.SUCCESS })
			})
		})
	}
}

// limited calls a function that must fail because of a limit.
func (p *puppet) limited(limit string, want abi.Errno, name string, args ...any) {
	p.t.Helper()
	p.notes = nil
	text := p.want(want, name, args...)
	if len(p.notes) == 0 {
		p.t.Errorf("%s: the host was not told", name)
	}
	for _, s := range []string{`raise "` + limit + `"`, "--limit " + limit + "="} {
		if !strings.Contains(text, s) {
			p.t.Errorf("%s: %q does not say %q", name, text, s)
		}
	}
}

func TestObjectsTakeWhatTheyHave(t *testing.T) {
	elf := file(t, puppetObject)
	for limit, opts := range map[string]session.Options{"programs": {Programs: 8}, "files": {Files: 20}, "map-memory": {MapMemory: 4 << 10}} {
		withOptions(t, opts, func(t *testing.T, p *puppet) {
			o := p.handle("object_open", elf)
			errno := abi.NOMEM
			if limit == "files" {
				errno = abi.MFILE
			}
			p.limited(limit, errno, "object_load", o, 0)
			if used := p.used("programs") + p.used("files"); used != 0 {
				t.Errorf("%d programs and files are in use after a refusal", used)
			}
		})
	}
}

// A link of a perf_event is one for each CPU.
func TestEachCPUIsALink(t *testing.T) {
	cpus, err := kernel.OnlineCPUs()
	must(t, err)
	withOptions(t, session.Options{Links: len(cpus)}, func(t *testing.T, p *puppet) {
		prog := p.returning("perf_event", 0)
		target := p.target(abi.Target{Frequency: 1}, "", "")
		l := p.handle("link_attach", prog, target)
		if got := p.used("links"); got != len(cpus) {
			t.Errorf("%d links are in use, want %d", got, len(cpus))
		}
		p.limited("links", abi.NOMEM, "link_attach", prog, target, ptr(p.room(4).ptr))
		p.ok("close", l)
		p.ok("close", p.handle("link_attach", p.returning(rawTracepoint, 0), span{}))
		if len(cpus) < 2 {
			return
		}
		one := p.handle("link_attach", p.returning(rawTracepoint, 0), span{})
		p.limited("links", abi.NOMEM, "link_attach", prog, target, ptr(p.room(4).ptr))
		p.ok("close", one)
		if got := p.used("links"); got != 0 {
			t.Errorf("%d links are in use, want 0", got)
		}
	})
}

func TestRingsWithAReaderAreLimited(t *testing.T) {
	withOptions(t, session.Options{Rings: 2}, func(t *testing.T, p *puppet) {
		ring := func() int32 { return p.newMap(ebpf.RingBuf, 0, 0, uint32(os.Getpagesize())) }
		ev := p.events(ring(), ring())
		p.limited("rings", abi.NOMEM, "events_add", ev, ring(), span{}, ptr(p.room(4).ptr))
		p.ok("close", ev)
		p.events(ring(), p.newMap(ebpf.PerfEventArray, 4, 4, 0))
	})
}

// What a plugin is charged in files is what this process has open for it.
func TestFilesAreThoseOfTheProcess(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		open := func() int {
			list, err := os.ReadDir("/proc/self/fd")
			must(t, err)
			return len(list)
		}
		self, err := os.Executable()
		must(t, err)
		start := open()
		for _, c := range []struct {
			what string
			do   func() []int32
		}{
			{"a map", func() []int32 { return []int32{p.newMap(ebpf.Array, 4, 8, 1)} }},
			{"an object", func() []int32 { return []int32{p.load(puppetObject)} }},
			{"a raw tracepoint", func() []int32 {
				prog := p.returning(rawTracepoint, 0)
				return []int32{prog, p.handle("link_attach", prog, span{})}
			}},
			{"a tracepoint", func() []int32 {
				prog := p.returning("tracepoint/sched/sched_process_exec", 0)
				return []int32{prog, p.handle("link_attach", prog, span{})}
			}},
			{"a uprobe", func() []int32 {
				prog := p.returning("uprobe", 0)
				return []int32{prog, p.handle("link_attach", prog, p.target(abi.Target{Offset: 0x1000}, self, ""))}
			}},
			{"samples", func() []int32 {
				prog := p.returning("perf_event", 0)
				return []int32{prog, p.handle("link_attach", prog, p.target(abi.Target{Frequency: 1}, "", ""))}
			}},
			{"readers", func() []int32 {
				ring, perf := p.newMap(ebpf.RingBuf, 0, 0, uint32(os.Getpagesize())), p.newMap(ebpf.PerfEventArray, 4, 4, 0)
				return []int32{ring, perf, p.events(ring, perf)}
			}},
			{"a share", func() []int32 {
				m := p.newMap(ebpf.Array, 4, 8, 1)
				p.ok("share", m, "counted-files")
				return []int32{m, p.handle("open_shared", "counted-files", uint32(abi.KindMap))}
			}},
			{"a process and a cgroup", func() []int32 {
				return []int32{p.handle("process_open", os.Getpid()), p.handle("cgroup_open", ".")}
			}},
			{"a run of an iterator", func() []int32 {
				prog := p.iterate()
				l := p.handle("link_attach", prog, span{})
				return []int32{prog, l, p.handle("iter_open", l)}
			}},
		} {
			t.Run(c.what, func(t *testing.T) {
				was := p.t
				p.t = t
				defer func() { p.t = was }()
				handles := c.do()
				if got, want := p.used("files"), open()-start; got != want {
					t.Errorf("charged %d files, and the process has %d more", got, want)
				}
				for _, h := range handles {
					p.ok("close", h)
				}
				kerneltest.Eventually(t, "give all back", p.usesNothing)
			})
		}
	})
}

func (p *puppet) usesNothing() bool {
	for _, n := range p.inst.s.Budget().Used() {
		if n != 0 {
			return false
		}
	}
	return true
}

// A link, a program array and a pin hold a program whose handle is closed.
func TestClosedProgramsCountAsLongAsTheKernelHasThem(t *testing.T) {
	opts := session.Options{Programs: 1, PinPath: kerneltest.Bpffs(t) + "/pins"}
	withOptions(t, opts, func(t *testing.T, p *puppet) {
		for what, hold := range map[string]func(prog int32) (free func()){
			"a link": func(prog int32) func() {
				l := p.handle("link_attach", prog, span{})
				return func() { p.ok("close", l) }
			},
			"a program array": func(prog int32) func() {
				m := p.newMap(ebpf.ProgramArray, 4, 4, 1)
				p.ok("map_update", m, native32(0), le32bytes(uint32(prog)), uint64(0))
				return func() { p.ok("close", m) }
			},
			"a pin": func(prog int32) func() {
				p.ok("pin", prog, "held")
				return func() { p.ok("unpin", "held") }
			},
		} {
			prog := p.returning(rawTracepoint, 0)
			free := hold(prog)
			p.ok("close", prog)
			if _, no := p.program(rawTracepoint, insns(t, asm.Mov.Imm(asm.R0, 0), asm.Return())); no != abi.NOMEM {
				t.Errorf("%s holds a program, and another one: %s, want NOMEM", what, no)
			}
			free()
			kerneltest.Eventually(t, "give the program back", func() bool {
				h, no := p.program(rawTracepoint, insns(t, asm.Mov.Imm(asm.R0, 0), asm.Return()))
				if no == abi.SUCCESS {
					p.ok("close", h)
				}
				return no == abi.SUCCESS
			})
		}
	})
}

// A pinned link is one of the plugin's as long as the kernel has it.
func TestPinnedLinksCount(t *testing.T) {
	withOptions(t, session.Options{Links: 1, PinPath: kerneltest.Bpffs(t) + "/pins"}, func(t *testing.T, p *puppet) {
		prog := p.returning(rawTracepoint, 0)
		l := p.handle("link_attach", prog, span{})
		p.ok("pin", l, "held")
		p.ok("close", l)
		out := ptr(p.room(4).ptr)
		p.limited("links", abi.NOMEM, "link_attach", prog, span{}, out)
		p.ok("unpin", "held")
		kerneltest.Eventually(t, "give the link back", func() bool { return p.call("link_attach", prog, span{}, out) == abi.SUCCESS })
	})
}

// The modules that one guest imports use one budget.
func TestModulesShareOneBudget(t *testing.T) {
	opts := session.Options{Programs: 1, Files: 8, Guard: everything(t)}
	opts.Budget = session.NewBudget(opts)
	withOptions(t, opts, func(t *testing.T, p *puppet) {
		other := session.New(opts) // that of wasm_bpf
		m, err := other.OpenEvents()
		must(t, err)
		p.ok("close", p.returning("xdp", 1))
		h, err := other.OpenObject(file(t, puppetObject))
		must(t, err)
		prog := p.returning("xdp", 1)
		if got := p.used("handles"); got != 3 {
			t.Errorf("%d handles are in use, want 3", got)
		}
		if other.Budget() != p.inst.s.Budget() {
			t.Error("two budgets")
		}
		if err := other.End(); err != nil {
			t.Error(err)
		}
		p.ok("close", prog)
		if other.Any(m) == nil || other.Any(h) == nil {
			t.Error("a handle is open after the end")
		}
		kerneltest.Eventually(t, "give all back", p.usesNothing)
	})
}

// The end of a plugin with as many links as it may have takes no longer than a run waits for it: see closing in runtime/run.go.
func TestManyLinksEndInTime(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	withOptions(t, session.Options{Links: 1000, Files: 4000, Handles: 4000}, func(t *testing.T, p *puppet) {
		for what, attach := range map[string]func() int{
			"uprobes": func() int {
				if !kernel.Running().AtLeast(6, 10) {
					return 0
				}
				prog, target := p.returning("uprobe", 0), p.target(abi.Target{Offset: 0x1000}, self, "")
				for range 1000 {
					p.handle("link_attach", prog, target)
				}
				return 1000
			},
			"tracepoints": func() int {
				prog := p.returning("tracepoint", 0)
				events := tracepoints(t, 30)
				for _, e := range events {
					p.handle("link_attach", prog, p.target(abi.Target{}, "", e))
				}
				return len(events)
			},
		} {
			n := attach()
			before := time.Now()
			must(t, p.inst.s.End())
			took := time.Since(before)
			t.Logf("%d %s end in %v", n, what, took)
			if took > 5*time.Second {
				t.Errorf("the end of %d %s took %v", n, what, took)
			}
			kerneltest.Eventually(t, "give all back", p.usesNothing)
		}
	})
}

// tracepoints lists n events of the kernel.
func tracepoints(t *testing.T, n int) (list []string) {
	t.Helper()
	fs, err := kernel.Tracefs()
	must(t, err)
	defer fs.Close()
	b, err := fs.ReadFile("available_events")
	must(t, err)
	for _, e := range strings.Fields(string(b)) {
		category, name, _ := strings.Cut(e, ":")
		if len(list) < n && category != "ftrace" && category != "syscalls" {
			list = append(list, category+"/"+name)
		}
	}
	return list
}

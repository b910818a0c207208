package node_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// cache holds the compiled plugins.
var cache string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bowline-node-")
	if err != nil {
		panic(err)
	}
	cache = dir
	for _, fs := range []func() (*kernel.FS, error){kernel.Securityfs, kernel.Tracefs, kernel.Cgroup2} {
		_, _ = kernel.Keep(fs) // the tests of least privilege do it, for good
	}
	kerneltest.Main(m, func() { os.RemoveAll(dir) })
}

func parsePolicy(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text), "box.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// some is what the hostile plugins are granted.
const some = `
version: 1
allow: ["tracepoint:syscalls/sys_enter_getpgid", "raw_tracepoint:sched_process_exec", socket, "file:/etc/passwd"]
limits: {memory: 16M, map-memory: 8M, cpu-per-call: 200ms, handles: 500, links: 20, programs: 10, rings: 4, files: 300, table: 100000, log-lines: 100}
`

// kept is the code of the guests in testdata when an error kept them from doing harm.
const kept = 7

// harms are the hostile plugins, and how each of them ends.
var harms = []struct {
	name string
	file string   // hostile unless given
	args []string // the name unless given
	more func(*node.RunOptions)
	// code and says are how the run ends: the exit code, and a pattern of what the host or the plugin says.
	code int
	says string
	// audit is a pattern of the audit line. Empty means that there is none.
	audit string
}{
	{name: "loop", code: node.ExitLimit, says: `200ms of CPU .*"cpu-per-call"`, audit: `"action":"limit","subject":"cpu-per-call"`},
	{name: "start function that loops", file: "stuck-start", code: node.ExitLimit, says: `200ms of CPU .*"cpu-per-call"`, audit: `"action":"limit","subject":"cpu-per-call"`},
	{name: "recurse", code: node.ExitLimit, says: `nested too deeply`},
	{name: "recurse-table", code: node.ExitLimit, says: `nested too deeply`},
	{name: "memory", code: kept, says: `no more memory after 1[0-9] MiB`},
	{name: "memory of 4 GiB at once", file: "memory-large", code: node.ExitLimit, says: `starts with 4294967296 bytes of memory`, audit: `"action":"limit","subject":"memory"`},
	{name: "table", file: "table", code: kept},
	{name: "table of 2^32 at once", file: "table-large", code: node.ExitLimit, says: `tables start with 4294967295 elements`, audit: `"action":"limit","subject":"table"`},
	{name: "burn", more: timeout, code: node.ExitTimeout},
	{name: "bulk", file: "bulk", more: func(o *node.RunOptions) { timeout(o); o.MemoryLimit = 64 << 20 }, code: node.ExitTimeout},
	{name: "sleeps", more: timeout, code: node.ExitTimeout},
	{name: "map", code: kept, says: `map of 1 GiB: .*map-memory`, audit: `"action":"limit","subject":"map-memory"`},
	{name: "maps", code: kept, says: `maps of 4 MiB: .*map-memory`, audit: `"action":"limit","subject":"map-memory"`},
	{name: "links", code: kept, says: `attach: .*links`, audit: `"action":"limit","subject":"links"`},
	{name: "programs", code: kept, says: `load: .*programs`, audit: `"action":"limit","subject":"programs"`},
	{name: "rings", code: kept, says: `read a ring: .*rings`, audit: `"action":"limit","subject":"rings"`},
	{name: "files", code: kept, says: `open: .*files`, audit: `"action":"limit","subject":"files"`},
	{name: "handles", code: kept, says: `open: .*handles`, audit: `"action":"limit","subject":"handles"`},
	{name: "helper", code: kept, says: `"helper:bpf_probe_read_kernel"`, audit: `"action":"[a-z ]*","subject":"bpf_probe_read_kernel"`},
	{name: "writes", code: kept, says: `"helper:bpf_probe_write_user"`, audit: `"subject":"bpf_probe_write_user"`},
	{name: "lies", code: kept, says: `"helper:bpf_probe_write_user"`, audit: `"subject":"bpf_probe_write_user"`},
	{name: "harmless", code: kept, says: `"helper:bpf_probe_write_user"`, audit: `"subject":"bpf_probe_write_user"`},
	{name: "elsewhere", code: kept, says: `"tracepoint:syscalls/sys_enter_write"`, audit: `"subject":"syscalls/sys_enter_write"`},
	{name: "guess", code: kept, says: `found 0 maps`},
	{name: "steal", code: kept, says: `"share:secrets"`, audit: `"subject":"secrets"`},
	{name: "flood", more: timeout, code: node.ExitTimeout, audit: `"action":"limit","subject":"log-lines"`},
	{name: "line", more: timeout, code: node.ExitTimeout, audit: `"action":"limit","subject":"log-lines"`},
	{name: "refused", more: timeout, code: node.ExitTimeout},
	{name: "trap in a callback", file: "callback", args: []string{"MARK", "trap"}, code: node.ExitFailure, says: `unreachable`},
	{name: "poll in a poll", file: "callback", args: []string{"MARK", "again"}, code: kept, says: `poll inside a poll: -`},
	{name: "close in a callback", file: "callback", args: []string{"MARK", "closes"}, code: kept, says: `the loop ended with -`},
	{name: "_start with a parameter", file: "start", code: node.ExitFailure, says: `export _start has type`},
	{name: "_initialize with a result", file: "initialize", code: node.ExitFailure, says: `export _initialize has type`},
}

func timeout(o *node.RunOptions) { o.Timeout = 200 * time.Millisecond }

// ends is how long a hostile plugin may take until it is gone.
const ends = time.Second

// No plugin can do harm: each ends soon and with the right error, and the plugin beside it loses no event and has its events in time.
func TestHostilePlugins(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, engine := range node.Engines() {
		t.Run(engine, func(t *testing.T) {
			w := startWitness(t, engine, cache)
			for _, file := range []string{"hostile", "callback"} { // compiles them
				if code, err := node.Run(t.Context(), node.RunOptions{File: "testdata/" + file + ".wasm", Engine: engine, CacheDir: cache}); code != 2 || err != nil {
					t.Fatalf("%s without arguments: code %d, %v", file, code, err)
				}
			}
			for _, h := range harms {
				t.Run(h.name, func(t *testing.T) {
					o := node.RunOptions{File: "testdata/hostile.wasm", Args: []string{h.name}, Engine: engine, CacheDir: cache, Policy: parsePolicy(t, some)}
					if h.file != "" {
						o.File, o.Args = "testdata/"+h.file+".wasm", nil
					}
					for _, a := range h.args {
						o.Args = append(o.Args, strings.ReplaceAll(a, "MARK", fmt.Sprint(w.mark)))
					}
					if h.more != nil {
						h.more(&o)
					}
					w.beside(t, func(t *testing.T) time.Duration { return runHarm(t, o, h.code, h.says, h.audit) })
				})
			}
		})
	}
}

// runHarm runs one hostile plugin and answers how long it took to be gone.
func runHarm(t *testing.T, o node.RunOptions, code int, says, audit string) time.Duration {
	t.Helper()
	var stdout, stderr, audited text
	o.Stdout, o.Stderr, o.Audit = &stdout, &stderr, &audited
	started := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*ends)
	defer cancel()
	got, err := node.Run(ctx, o)
	took := time.Since(started)
	said := stderr.String()
	if err != nil {
		said += err.Error()
	}
	if got != code || !regexp.MustCompile("(?s)"+says).MatchString(said) {
		t.Errorf("ended with code %d and said %.2000q; want code %d and %q", got, said, code, says)
	}
	if a := audited.String(); (audit == "") != (a == "") || !regexp.MustCompile(audit).MatchString(a) {
		t.Errorf("audit lines %q, want %q", a, audit)
	}
	return took
}

// tries is how often a plugin is run until it ends soon and the latency beside it is as usual. The machine is not ours alone.
const tries = 10

// noise is what a wake-up may take longer on a machine with two CPUs that others use.
const noise = 200 * time.Microsecond

// beside runs f, which answers how long a plugin took to end, and looks whether the witness notices.
func (w *witness) beside(t *testing.T, f func(*testing.T) time.Duration) {
	t.Helper()
	for try := 1; ; try++ {
		from := w.now()
		w.await(t, from+200)
		before := w.now()
		usual := w.between(t, from, before)
		var took time.Duration
		for ok := true; ok && w.now() < before+100; ok = !t.Failed() { // one that ends at once comes again
			took = max(took, f(t))
		}
		after := max(w.now(), before+1)
		during := w.between(t, before, after)
		w.await(t, after+200)
		if later := w.between(t, after, after+200); later.median > usual.median { // the machine got busier meanwhile
			usual = later
		}
		t.Logf("ended after %s; latency of the other plugin: median %s (usually: %s), longest %s (%s)",
			took.Round(time.Millisecond), during.median, usual.median, during.longest, usual.longest)
		switch good := took <= ends && during.median <= 2*usual.median+noise; {
		case good || t.Failed():
			return
		case try == tries:
			t.Errorf("in each of %d runs it took longer than %s to end, or the latency of the other plugin was more than twice its usual one", tries, ends)
			return
		}
	}
}

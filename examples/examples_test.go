// Package examples_test runs every example plugin on real events, as the command
// does, on every engine of the build, and compares each line that it prints with its golden file.
package examples_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
)

// cache holds the compiled plugins, so that each is compiled once.
var cache string

func TestMain(m *testing.M) {
	if options := os.Getenv(runChild); options != "" {
		os.Exit(runAsChild(options))
	}
	dir, err := os.MkdirTemp("", "bowline-examples-")
	if err != nil {
		panic(err)
	}
	cache = dir
	kerneltest.Main(m, func() { os.RemoveAll(dir) })
}

// patience is how long a plugin may take for anything that the test waits for. Emulated machines are slow.
const patience = time.Minute

// row is one run of a plugin.
type row struct {
	// file replaces the plugin's file.
	file string
	// args are the plugin's arguments.
	args []string
	// golden replaces the plugin's golden file, for runs with other options.
	golden string
	// names are local names that the plugin may use.
	names map[string]string
	// netns is where the plugin runs. Nil means where the process is.
	netns *kerneltest.NS
	// vars are put, as they are, where the golden file has {name}. They may be
	// filled in by cause.
	vars map[string]string
	// cause makes the events. It runs when the plugin has printed the first line
	// that its golden file wants, which means that its programs are attached.
	cause func()
	// ends says that the plugin ends by itself, with code. Otherwise the test stops
	// it when it has printed all that it must.
	ends bool
	code int
	// stderr are patterns: each line on standard error must match one of them, and
	// each of them must be there.
	stderr []string
	// refused says that this kernel cannot run the plugin: standard output must
	// stay empty, instead of being as the golden file says.
	refused bool
}

// plugins are the runs: the first word of the name is the plugin. Setups are in
// the file that has the plugin's name, or that of its kind.
var plugins = []struct {
	name  string
	setup func(*testing.T) row
}{
	{"execsnoop", setupExecsnoop},
	{"execsnoop --count", setupExecsnoopCount},
	{"opensnoop", setupOpensnoop},
	{"opensnoop --failed", setupOpensnoopFailed},
	{"runqlat", setupRunqlat},
	{"runqlat 1 1", setupRunqlatCount},
	{"execve-perf", setupExecvePerf},
	{"xdpcount", setupXDPCount},
	{"tcpopt", setupTCPOpt},
	{"uprobe", setupUprobe},
	{"uprobe --verbose", setupUprobeVerbose},
	{"lsm", setupLSM},
	{"tcx", setupTCX},
	{"connect", setupConnect},
	{"portsteer", setupPortSteer},
	{"tasks", setupTasks},
	{"tasks --threads", setupTasksThreads},
	{"usdt", setupUSDT},
	{"profile", setupProfile},
	{"userring", setupUserRing},
	{"mapinmap", setupMapInMap},
	{"filter", setupFilter},
	{"filter --packet", setupFilterPacket},
	{"opensnoop, older interface", older("opensnoop", setupOpensnoop)},
	{"execve-perf, older interface", older("execve-perf", setupExecvePerf)},
	{"xdpcount, older interface", older("xdpcount", setupXDPCount)},
}

// older runs the plugin of that name that uses import module wasm_bpf, which prints the same.
func older(plugin string, setup func(*testing.T) row) func(*testing.T) row {
	return func(t *testing.T) row {
		r := setup(t)
		r.file = filepath.Join("testdata", plugin+".wasm")
		return r
	}
}

func TestPluginsPrintWhatTheirGoldenFilesSay(t *testing.T) {
	kerneltest.RequireRoot(t)
	// Wasmtime starts its threads when it compiles for the first time: not in a namespace of a test, which they would keep.
	for _, engine := range node.Engines() {
		runToEnd(t, engine, pluginFile("execsnoop"), "--help")
	}
	for _, p := range plugins {
		plugin, _, _ := strings.Cut(strings.Replace(p.name, ",", "", 1), " ")
		t.Run(p.name, func(t *testing.T) { onEveryEngine(t, plugin, p.setup) })
	}
	if !t.Failed() {
		checkPolicies(t)
	}
}

// onEveryEngine runs a plugin on each engine of the build, with a new setup.
func onEveryEngine(t *testing.T, plugin string, setup func(*testing.T) row) {
	t.Helper()
	for _, engine := range node.Engines() {
		t.Run(engine, func(t *testing.T) { run(t, engine, plugin, setup(t)) })
	}
}

// run runs a plugin in this process until it ends, or has printed all and is
// stopped.
func run(t *testing.T, engine, plugin string, r row) {
	t.Helper()
	runBy(t, node.Run, engine, plugin, r)
}

// runner runs a plugin as node.Run does it.
type runner func(context.Context, node.RunOptions) (int, error)

func runBy(t *testing.T, runPlugin runner, engine, plugin string, r row) {
	t.Helper()
	file := cmp.Or(r.file, pluginFile(plugin))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr output
	ended := make(chan struct{})
	var code int
	var err error
	box, added := policyOf(t, plugin)
	start := func() {
		code, err = runPlugin(ctx, node.RunOptions{
			Policy: box, Allow: added, Watch: observe(plugin), File: file, Args: r.args, Engine: engine, CacheDir: cache, Names: r.names, Stdout: &stdout, Stderr: &stderr,
		})
	}
	stdout.unready = func() { skipUnsupported(t, code, stderr.String()) }
	go func() {
		defer close(ended)
		if r.netns == nil {
			start()
		} else if nerr := r.netns.Do(start); nerr != nil {
			t.Error(nerr)
		}
	}()
	defer func() { stop(); <-ended }()
	defer func() {
		if t.Failed() {
			t.Logf("standard output:\n%sstandard error:\n%s", stdout.String(), stderr.String())
		}
	}()

	var want []pattern
	if !r.refused {
		want = readGolden(t, plugin, r)
		stdout.await(t, ended, func(lines []string) string { return missing(lines, want[:1]) })
	}
	if r.cause != nil {
		r.cause()
	}
	if !r.refused {
		want = readGolden(t, plugin, r)
	}
	if !r.ends {
		stdout.await(t, ended, func(lines []string) string { return missing(lines, kinds(want, must)) })
		stop()
		r.code = node.ExitInterrupted
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("%s still runs after %s", plugin, patience)
	}
	if err != nil || code != r.code {
		t.Errorf("%s ended with code %d and %v, want code %d", plugin, code, err, r.code)
	}
	check(t, "standard output", stdout.lines(), want)
	check(t, "standard error", stderr.lines(), required(t, r.stderr))
}

// skipUnsupported skips the test if the plugin ended because the kernel lacks something, and it really does.
func skipUnsupported(t *testing.T, code int, stderr string) {
	t.Helper()
	if code == node.ExitUnsupported {
		kerneltest.SkipIfUnsupported(t, fmt.Errorf("%w: %s", kernel.ErrUnsupported, stderr))
	}
}

// check compares every line with the patterns.
func check(t *testing.T, stream string, lines []string, want []pattern) {
	t.Helper()
	for _, l := range lines {
		if !matchesAny(l, want) {
			t.Errorf("%s: line %q matches no pattern", stream, l)
		}
	}
	if m := missing(lines, kinds(want, must, last)); m != "" {
		t.Errorf("%s: no line matches %s", stream, m)
	}
}

// required makes patterns that must all be there.
func required(t *testing.T, exprs []string) []pattern {
	t.Helper()
	var all []pattern
	for _, e := range exprs {
		re, err := regexp.Compile("^(?:" + e + ")$")
		if err != nil {
			t.Fatal(errors.Join(errors.New("pattern for standard error"), err))
		}
		all = append(all, pattern{must, re})
	}
	return all
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
)

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a plugin",
		ArgsUsage: "[OPTIONS] FILE.wasm [-- ARGUMENTS]",
		Description: "Runs the plugin in FILE.wasm, or from standard input if FILE is \"-\", until it ends. What follows \"--\" are the " +
			"plugin's own arguments; options may stand before or after the file. The plugin gets standard input, output and " +
			"error, and of the rest only what the options give and the policy grants: no environment, no files. What the policy denies no " +
			"option gives.\n" +
			"Ctrl-C or SIGTERM stops the plugin and detaches what it attached; a second one ends the process at once.",
		UsageText: "run --policy policy.yaml execsnoop.wasm\n" +
			"run --allow tracing --allow helper:bpf_probe_read_user execsnoop.wasm --timeout 10s -- --comm bash\n" +
			"run tool.wasm --dir /etc --dir /var/log/tool:/log:rw --env LANG --env MODE=fast\n" +
			"run - < plugin.wasm",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "env", Usage: "give the plugin the environment variable `K=V`; K alone passes the host's value; repeatable"},
			&cli.StringSliceFlag{Name: "dir", Usage: "give the plugin a directory, `HOST[:GUEST][:rw]`; read-only without :rw; repeatable"},
			&cli.StringFlag{Name: "timeout", Usage: "stop the plugin after `DURATION`, such as 10s or 1m30s, and exit with 124"},
			&cli.StringFlag{Name: "engine", Usage: "run on `ENGINE` (in this build: " + strings.Join(node.Engines(), ", ") + ")"},
			&cli.StringFlag{Name: "memory", Usage: "let the plugin's memory grow to at most `SIZE`, such as 64M or 1G; 64M unless given or in the policy"},
			&cli.StringFlag{Name: "map-memory", Usage: "let the plugin's BPF maps take at most `SIZE` of kernel memory; 32M unless given or in the policy"},
			&cli.StringSliceFlag{Name: "limit", Usage: "set a limit for this run, `NAME=VALUE`, in place of the policy's: cpu-per-call=1m, cpu-share=20%, log-lines=none, ...; repeatable; see docs/policy.md"},
			&cli.StringFlag{Name: "fuel", Usage: "stop the plugin after `N` units of work of its own code, on every engine and machine at the same place; -v tells how many a run uses"},
			&cli.StringSliceFlag{Name: "allow", Usage: "grant the plugin `GRANT` for this run, beside the policy: a group such as tracing, xdp@eth1, helper:NAME, ..., or all; repeatable; see docs/policy.md"},
			&cli.StringFlag{Name: "policy", Usage: "take the policy of this box from `FILE`; " + defaultPolicy + " unless given, if it is there"},
			&cli.StringSliceFlag{Name: "name", Usage: "let the plugin use a local name, `LOCAL=REAL`: uplink=eth1, plugins=/sys/fs/cgroup/plugins; repeatable"},
			&cli.StringFlag{Name: "cache", Usage: "keep compiled modules in `DIR`; \"off\" keeps none"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "tell on standard error what happens, with the whole log of the verifier"},
		}, confineFlags()...),
		Action: a.runAction,
	}
}

func (a *app) runAction(c *cli.Context) error {
	opts, err := a.runOptions(c)
	if err != nil {
		return err
	}
	if c.Bool("isolate") && !a.isolated {
		return a.isolate(opts)
	}
	opts.Isolated = a.isolated
	if slices.ContainsFunc(opts.Allow, func(l policy.Line) bool { return l.Grant.String() == "all" }) {
		a.complain(fmt.Errorf("%s: --allow all: it may do everything that this process may", pluginName(opts.File)))
	}
	ctx, cancel := context.WithCancelCause(c.Context)
	defer cancel(nil)
	defer onSignal(cancel, a.isolated)()
	out := &pipeWriter{file: a.stdout, cancel: cancel}
	opts.Stdin, opts.Stdout, opts.Stderr = a.stdin, a.stdout, a.stderr
	if !isTerminal(a.stdout) {
		opts.Stdout = out
	}
	defer time.AfterFunc(settled, debug.FreeOSMemory).Stop()
	code, err := node.Run(ctx, opts)
	if out.broken.Load() {
		return nil
	}
	if err != nil {
		a.complain(runError(opts.File, err))
	}
	if err := out.failure(); err != nil {
		return outputError(err) // whatever the plugin made of it: what it printed is not there
	}
	if code != node.ExitOK {
		return exitCode(code)
	}
	return nil
}

// settled is when a plugin has started: what compiling it and reading the kernel's types took goes back to the kernel then, which
// is worth a third of the process's memory.
const settled = 500 * time.Millisecond

// onSignal makes the first SIGINT, SIGTERM or SIGQUIT cancel the run and the second one end the process; an isolated one is ended by the
// process that waits for it, and may get the first one twice: from that and from the terminal. The result ends that.
func onSignal(cancel context.CancelCauseFunc, isolated bool) (stop func()) {
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT)
	go func() {
		for n := 0; ; n++ {
			select {
			case s := <-signals:
				if n > 0 && !isolated {
					os.Exit(node.ExitInterrupted)
				}
				cancel(fmt.Errorf("interrupted by %s: %w", s, context.Canceled))
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// pipeWriter ends the run when nobody reads the plugin's output any more, as in "| head". Of all other errors it
// remembers the first, because not every plugin looks at them.
type pipeWriter struct {
	file   io.Writer
	cancel context.CancelCauseFunc
	broken atomic.Bool
	failed atomic.Pointer[error]
}

// Write writes to the file.
func (w *pipeWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b)
	switch {
	case errors.Is(err, unix.EPIPE):
		if !w.broken.Swap(true) {
			w.cancel(fmt.Errorf("nobody reads the output: %w", context.Canceled))
		}
	case err != nil:
		w.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failure is the first error of a write, nil if all went well.
func (w *pipeWriter) failure() error {
	if err := w.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// runOptions turns the command line into what node wants.
func (a *app) runOptions(c *cli.Context) (node.RunOptions, error) {
	var o node.RunOptions
	args := c.Args().Slice()
	if i := slices.Index(args, "--"); i >= 0 {
		args, o.Args = args[:i], args[i+1:]
	}
	switch {
	case len(args) == 0, args[0] == "":
		return o, usagef("run: no file named; name a .wasm file: %s run FILE.wasm", appName)
	case len(args) == 1:
		o.File = args[0]
	default:
		return o, usagef("run: one file at a time, got %q as well; put the plugin's own arguments after \"--\"", args[1])
	}
	o.Engine, o.CacheDir, o.Verbose = c.String("engine"), c.String("cache"), c.Bool("verbose")
	var err error
	if o.Env, err = environment(c.StringSlice("env")); err != nil {
		return o, err
	}
	if o.Dirs, err = directories(c.StringSlice("dir")); err != nil {
		return o, err
	}
	if o.Policy, err = boxPolicy(c.String("policy")); err != nil {
		return o, err
	}
	if o.Allow, err = policy.Lines("--allow", c.StringSlice("allow")...); err != nil {
		return o, usagef("run: %v", err)
	}
	if o.Limits, err = limitList(c.StringSlice("limit")); err != nil {
		return o, err
	}
	if o.Names, err = localNames(c.StringSlice("name")); err != nil {
		return o, err
	}
	if o.Timeout, err = duration(c, "timeout"); err != nil {
		return o, err
	}
	if s := c.String("fuel"); c.IsSet("fuel") {
		if o.Fuel, err = strconv.ParseUint(s, 10, 64); err != nil || o.Fuel == 0 {
			return o, usagef("run: --fuel %q is no number of units; write one such as 1000000; run it with -v to see how many it uses", s)
		}
	}
	if err = confineOptions(c, &o); err != nil {
		return o, err
	}
	for name, limit := range map[string]*uint64{"memory": &o.MemoryLimit, "map-memory": &o.MapMemory} {
		if s := c.String(name); c.IsSet(name) {
			if *limit, err = parseSize(s); err != nil {
				return o, usagef("run: --%s %q: %v; write a size from 64K to 4G, such as 64M", name, s, err)
			}
		}
	}
	return o, checkEngine(o.Engine)
}

func checkEngine(name string) error {
	switch {
	case name == "" || slices.Contains(node.Engines(), name):
		return nil
	case name == "wasmtime":
		return usagef("run: engine wasmtime is not in this build; build bowline with cgo and -tags wasmtime")
	}
	return usagef("run: unknown engine %q; this build has %s", name, strings.Join(node.Engines(), ", "))
}

// environment resolves K=V and K.
func environment(list []string) ([]string, error) {
	var env []string
	for _, e := range list {
		name, _, hasValue := strings.Cut(e, "=")
		if name == "" {
			return nil, usagef("run: --env %q has no name; write --env NAME=VALUE or --env NAME", e)
		}
		if !hasValue {
			value, ok := os.LookupEnv(name)
			if !ok {
				continue
			}
			e = name + "=" + value
		}
		env = append(env, e)
	}
	return env, nil
}

// duration reads an option that is a time; zero if it is not given.
func duration(c *cli.Context, option string) (time.Duration, error) {
	if !c.IsSet(option) {
		return 0, nil
	}
	d, err := time.ParseDuration(c.String(option))
	if err != nil || d <= 0 {
		return 0, usagef("%s: --%s %q is no duration; write a number with its unit, such as 10s or 1m30s", c.Command.Name, option, c.String(option))
	}
	return d, nil
}

// limitList resolves NAME=VALUE.
func limitList(list []string) (policy.Limits, error) {
	var l policy.Limits
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return l, usagef("run: --limit %q is no limit; write --limit NAME=VALUE, such as --limit cpu-per-call=1m", s)
		}
		if err := l.Set(name, value); err != nil {
			return l, usagef("run: --limit %s: %v", s, err)
		}
	}
	return l, nil
}

// localNames resolves LOCAL=REAL.
func localNames(list []string) (map[string]string, error) {
	names := map[string]string{}
	for _, n := range list {
		local, real, _ := strings.Cut(n, "=")
		if local == "" || real == "" {
			return nil, usagef("run: --name %q is no local name; write --name LOCAL=REAL, such as --name uplink=eth1", n)
		}
		names[local] = real
	}
	return names, nil
}

// directories resolves HOST[:GUEST][:rw].
func directories(list []string) ([]engine.Dir, error) {
	var dirs []engine.Dir
	for _, d := range list {
		parts := strings.Split(d, ":")
		var dir engine.Dir
		if last := parts[len(parts)-1]; len(parts) > 1 && (last == "rw" || last == "ro") {
			dir.Write = last == "rw"
			parts = parts[:len(parts)-1]
		}
		if len(parts) > 2 || slices.Contains(parts, "") {
			return nil, usagef("run: --dir %q is no directory; write --dir HOST, HOST:GUEST or HOST:GUEST:rw", d)
		}
		dir.Host, dir.Guest = parts[0], parts[len(parts)-1]
		switch info, err := os.Stat(dir.Host); {
		case errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir():
			return nil, fmt.Errorf("run: --dir %s: there is no such directory; name one that exists", dir.Host)
		case err != nil:
			return nil, fmt.Errorf("run: --dir: %w", err)
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// parseSize reads a number of bytes with an optional unit K, M or G, which are powers of 1024.
func parseSize(s string) (uint64, error) {
	digits := strings.TrimRight(s, "kKmMgGiB")
	shift, ok := map[string]uint{"": 0, "b": 0, "k": 10, "m": 20, "g": 30}[strings.TrimSuffix(
		strings.TrimSuffix(strings.ToLower(s[len(digits):]), "b"), "i")]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !ok {
		return 0, errors.New("not a size")
	}
	if n > math.MaxUint64>>shift || n<<shift > 4<<30 {
		return 0, errors.New("too large")
	}
	if n<<shift < 64<<10 {
		return 0, errors.New("too small")
	}
	return n << shift, nil
}

// sizeOption writes a number of bytes as parseSize reads it, in the largest unit that is exact.
func sizeOption(n uint64) string {
	unit := 0
	for ; unit < 3 && n != 0 && n%1024 == 0; unit++ {
		n /= 1024
	}
	return fmt.Sprint(n, []string{"", "K", "M", "G"}[unit])
}

// runError says what was tried, and what to do where the error does not.
func runError(file string, err error) error {
	for _, kind := range []error{wasmfile.ErrNotWasm, wasmfile.ErrComponent, wasmfile.ErrMalformed} {
		if inner := innermost(err, kind); inner != nil {
			err = inner
		}
	}
	var memory *engine.MemoryError
	if errors.As(err, &memory) {
		err = fmt.Errorf("needs %s of memory, the limit is %s; use --memory %s or more",
			size(memory.Need), size(memory.Limit), sizeOption(memory.Need))
	}
	tried := "run " + file + ": "
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", "; "), tried)
	if hint := adviceFor(err); hint != "" && !strings.Contains(text, "; ") {
		text += "; " + hint
	}
	return errors.New(tried + text)
}

// innermost finds the error in a tree of wrapped errors that says most exactly what is of a kind: the deepest that
// matches and is not the kind itself. It is nil if there is none.
func innermost(err, kind error) error {
	if err == nil || err == kind || !errors.Is(err, kind) {
		return nil
	}
	var next []error
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		next = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		next = e.Unwrap()
	}
	for _, n := range next {
		if inner := innermost(n, kind); inner != nil {
			return inner
		}
	}
	return err
}

// adviceFor says what to do about a file that cannot be used.
func adviceFor(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "check the name"
	case errors.Is(err, fs.ErrPermission):
		return "check the permissions"
	case errors.Is(err, wasmfile.ErrMalformed):
		return "build it or fetch it again"
	}
	return ""
}

// Package node is the one place that wires everything together: engine, host
// functions and kernel side, for the command and for embedders.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// RunOptions say what to run and what it gets. The zero value of everything but
// File is a sensible default that grants nothing.
type RunOptions struct {
	// File is the path of the module; "-" reads it from Stdin.
	File string
	// Args, Env and Dirs are handed to the plugin, see [runtime.Config]. Env and Dirs need no grant, but what the policy denies is an
	// error; what is granted comes on top.
	Args []string
	Env  []string
	Dirs []engine.Dir
	// Timeout stops the plugin after that time. Zero means never.
	Timeout time.Duration
	// Engine is one of [Engines]. Empty means the first.
	Engine string
	// Verbose tells on Stderr what happens, and the whole log of the verifier.
	Verbose bool
	// CacheDir holds compiled modules. Empty means the user's cache directory,
	// "off" none.
	CacheDir string
	// Limits are what the operator sets for this run; they win over those of the policy, also upwards.
	Limits policy.Limits
	// MemoryLimit caps the plugin's linear memory in bytes. Zero means what the limits
	// say. It also bounds what one bulk memory instruction can do, which nothing interrupts.
	MemoryLimit uint64
	// MapMemory caps the kernel memory of the plugin's BPF maps in bytes. Zero means
	// what the limits say.
	MapMemory uint64
	// Fuel is how much work the plugin's own code may do; see [runtime.Config]. Zero
	// means no limit.
	Fuel uint64
	// Policy is the policy of this box. Nil grants nothing.
	Policy *policy.Policy
	// Allow are the grants that the operator adds for this run; see [policy.Lines].
	Allow []policy.Line
	// Audit gets one line of JSON for each thing that the plugin was denied. Nil means Stderr.
	Audit io.Writer
	// Watch is told of each thing that the plugin may or may not do; the error is nil if it may. Nil tells nobody.
	Watch func(policy.Action, error)
	// Confine makes the whole process give up, for good, what the plugin's rights do not need: capabilities, most files (by Landlock), and
	// starting programs with more rights. It is for a process that runs this plugin alone. KeepCapabilities are kept all the same.
	Confine          bool
	KeepCapabilities []string
	// Isolated says that the process runs nothing but this plugin and may be limited as a whole: its memory, CPU and threads.
	Isolated bool
	// Names are local names that the plugin may use beside those of the policy: it attaches to "uplink", and here that is eth1. They
	// stand for interfaces, cgroups, files and network namespaces.
	Names map[string]string
	// Shared are the BPF objects that the plugins of this process share by name. Nil means that none can be shared; maps can be,
	// also between processes.
	Shared *session.Shared
	// Stdin, Stdout and Stderr are the plugin's streams; the host's own lines go
	// to Stderr too.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Run runs one plugin to its end and answers the exit code for the process, as
// the constants say, and what went wrong, if that is for the host to say. When
// the plugin fails with 1 or -1 after a step that the host had to refuse it (a
// privilege or a kernel feature that is missing), and no step of that kind went
// well later, the code is ExitDenied or ExitUnsupported.
func Run(ctx context.Context, opts RunOptions) (int, error) {
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, opts.Timeout, ErrTimeout)
		defer cancel()
	}
	name, wasm, err := read(ctx, &opts)
	if err != nil {
		return ended(ctx, err)
	}
	t := newTalk(opts.Stderr, name, opts.Verbose)
	rights, err := Rights(name, wasm, opts.box(), opts.Allow)
	if err != nil {
		return ended(ctx, fmt.Errorf("run %s: %w", opts.File, err))
	}
	guard := newGuard(opts, rights, name, wasm, t)
	ctx, cancel := guard.wallTime(ctx, opts.Timeout)
	defer cancel()
	code, err := run(ctx, opts, name, wasm, guard, t)
	guard.limited(err)
	switch {
	case err != nil:
		var trap *engine.Trap
		if errors.As(err, &trap) && len(trap.Stack) > 0 {
			t.detail("the plugin was in %s", strings.Join(trap.Stack, " < "))
		}
		explainPrivilege(err, t)
		return ended(ctx, err)
	case (code == 1 || code == 255) && t.refused() != nil: // what C programs end with when something failed
		explainPrivilege(t.refused(), t)
		return exitCode(t.refused()), nil
	case code != 0 && code&0xff == 0:
		return ExitFailure, nil // 256 would look like success
	}
	return int(code & 0xff), nil
}

// box is the policy of the box with the local names that are only for this run.
func (o *RunOptions) box() *policy.Policy {
	if len(o.Names) == 0 {
		return o.Policy
	}
	box := policy.Policy{}
	if o.Policy != nil {
		box = *o.Policy
	}
	names := policy.Names{}
	maps.Copy(names, box.Names)
	maps.Copy(names, o.Names)
	box.Names = names
	return &box
}

// ended says how the process ends after a run that ended with err. That the caller
// stopped it is no error to be told.
func ended(ctx context.Context, err error) (int, error) {
	if ctx.Err() == nil {
		return exitCode(err), err
	}
	code := ExitInterrupted
	cause := context.Cause(ctx)
	limit := errors.Is(cause, engine.ErrLimit) // wall-time
	if limit || errors.Is(cause, ErrTimeout) {
		code = ExitTimeout
	}
	if errors.Is(err, cause) {
		err = nil
		if limit {
			err = cause // without what it was doing
		}
	}
	return code, err
}

func run(ctx context.Context, opts RunOptions, name string, wasm []byte, guard *guard, t *talk) (code uint32, err error) {
	eng, err := newEngine(opts, t)
	if err != nil {
		return 0, err
	}
	defer func() {
		// A plugin that is stuck still uses the code; the process is about to end.
		if !errors.Is(err, runtime.ErrStuck) {
			err = errors.Join(err, eng.Close())
		}
	}()
	given, err := guard.wasi(opts, wasm)
	if err != nil {
		return 0, err
	}
	defer func() {
		if !errors.Is(err, runtime.ErrStuck) {
			err = errors.Join(err, given.Close())
		}
	}()
	if opts.Isolated {
		bound(guard.limits, len(wasm), t)
	}
	compiled := func() error { return nil }
	if opts.Confine {
		if compiled, err = giveUp(opts, guard.rights, wasm, given.dirs, t); err != nil {
			return 0, err
		}
	}
	rt, err := runtime.New(runtime.Options{
		Engine: eng, Providers: providers(guard.session(opts)),
		TableLimit: uint32(guard.limits.Table), InstanceLimit: int(guard.limits.Instances),
	})
	if err != nil {
		return 0, err
	}
	started := time.Now()
	mod, err := rt.Load(ctx, name, wasm)
	if err = errors.Join(err, compiled()); err != nil {
		return 0, err
	}
	defer func() {
		if !errors.Is(err, runtime.ErrStuck) {
			err = errors.Join(err, rt.Close())
		}
	}()
	if err := eng.CacheError(); err != nil {
		t.cache(opts.CacheDir, err)
	}
	t.detail("%s %s loaded %d bytes in %s", eng.Name(), eng.Version(), len(wasm), time.Since(started).Round(time.Microsecond))
	var used runtime.Usage
	stderr, lines := logWriter(opts.Stderr, name, guard.limits.LogLines)
	code, err = mod.Run(ctx, runtime.Config{
		Args: opts.Args, Env: given.env, Dirs: given.dirs, MaxFiles: int(guard.limits.Files),
		Stdin: opts.Stdin, Stdout: opts.Stdout, Stderr: stderr,
		MemoryLimit: uint64(guard.limits.Memory), Log: t.line, Report: guard.budget(t.report), Note: guard.budget(t.note),
		Fuel: opts.Fuel, CPUPerCall: max(guard.limits.CPUPerCall, 0), CPUShare: int(max(guard.limits.CPUShare, 0)), Usage: &used,
	})
	if !errors.Is(err, runtime.ErrStuck) {
		guard.used(used, lines)
	}
	return code, err
}

// read reads the module. A module from standard input leaves nothing there for
// the plugin.
func read(ctx context.Context, opts *RunOptions) (name string, wasm []byte, err error) {
	if opts.File == "-" {
		in := opts.Stdin
		opts.Stdin = nil
		if in == nil {
			return "", nil, errors.New("run -: there is no standard input")
		}
		wasm, err = readStoppable(ctx, in)
		return "plugin", wasm, err
	}
	// A pipe must not block the open.
	f, err := os.OpenFile(opts.File, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", nil, fmt.Errorf("run %s: %w", opts.File, err)
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return "", nil, fmt.Errorf("run %s: %w", opts.File, err)
	case info.IsDir():
		return "", nil, fmt.Errorf("run %s: it is a directory; name the .wasm file", opts.File)
	case !info.Mode().IsRegular():
		return "", nil, fmt.Errorf("run %s: it is no regular file; to read a module from a pipe use \"run - <%[1]s\"", opts.File)
	}
	wasm, err = readLimited(f)
	if err != nil {
		return "", nil, fmt.Errorf("run %s: %w", opts.File, err)
	}
	return strings.TrimSuffix(filepath.Base(opts.File), ".wasm"), wasm, nil
}

// readStoppable gives up when ctx is done. The read itself, of a pipe that nobody
// writes to, goes on until it ends.
func readStoppable(ctx context.Context, r io.Reader) (wasm []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wasm, err = readLimited(r)
	}()
	select {
	case <-done:
		return wasm, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readLimited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, runtime.MaxModuleSize+1))
	if err == nil && len(b) > runtime.MaxModuleSize {
		err = fmt.Errorf("larger than %d MiB, which is the limit for a module", runtime.MaxModuleSize>>20)
	}
	return b, err
}

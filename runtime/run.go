package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// DefaultGrace is how long a plugin may go on after it was told to stop, when
// [Config].Grace is zero.
const DefaultGrace = 500 * time.Millisecond

// ErrStuck means that a stopped plugin did not come back from something that
// nothing interrupts: a write to a pipe that nobody reads, or one bulk memory
// instruction over gigabytes. What it held stays open until it does.
var ErrStuck = errors.New("the plugin does not come back from what it does, and is left behind")

// Config says what one run of a plugin gets. The zero value grants nothing: no
// arguments, no environment, empty input, output to nowhere.
type Config struct {
	// Args are the arguments after the program's name, which is the module's.
	Args []string
	// Env holds "NAME=value" pairs.
	Env []string
	// Dirs are the preopened directories.
	Dirs []engine.Dir
	// MaxFiles is how many files the plugin may have open in Dirs; see [engine.WASI].
	MaxFiles int
	// Stdin, Stdout and Stderr are the standard streams. An *os.File as
	// Stdin is read so that a stopped plugin does not wait for it.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// MemoryLimit caps the linear memory in bytes; see [engine.InstanceConfig].
	MemoryLimit uint64
	// Fuel is how much work the plugin's own code may do, in the units of package
	// preempt; at the end of it the plugin is stopped, with [ErrFuel], on every
	// engine and machine at the same place. Zero means no limit.
	Fuel uint64
	// CPUPerCall is how much CPU time the guest may take between two calls of the
	// host, before it is stopped with [engine.ErrLimit]; it is noticed up to a sixteenth
	// late. Zero means no limit.
	CPUPerCall time.Duration
	// CPUShare is how much of one CPU the run may take over time, in percent, its work in
	// the host included; it sleeps when it has taken more. Zero, and 100 and more, mean
	// that it never does.
	CPUShare int
	// Usage, if not nil, is filled in when Run returns, unless the plugin is stuck.
	Usage *Usage
	// Grace is how long the plugin may go on after the context is done, to print
	// what it has. Blocking calls return at once, and after Grace its code is
	// interrupted wherever it is. Zero means DefaultGrace.
	Grace time.Duration
	// Log, Report and Note are handed to the providers, see [engine.Env]. Nil discards.
	Log    func(line string)
	Report func(step string, err error)
	Note   func(step string, err error)
}

// Run makes an instance and runs it: _initialize if the module exports it, then
// _start. It answers the exit code, which is 0 when _start returns. When the
// context is done the plugin is stopped, and the error is the context's cause.
// Other errors: [*engine.Trap], an error of a provider, [engine.ErrLimit], of
// which [ErrTooDeep] and [ErrFuel] are kinds, [ErrStuck].
//
// All that the plugin opened is closed when Run returns, unless it is stuck. The
// plugin runs on a goroutine of its own, in the network namespace of the calling
// thread.
func (m *Module) Run(ctx context.Context, cfg Config) (uint32, error) {
	if err := m.enter(); err != nil {
		return 0, fmt.Errorf("run %s: %w", m.name, err)
	}
	defaults(&cfg)
	inst := &run{module: m, cfg: cfg, meter: meter{fuel: cfg.Fuel}, cpu: newCPUMeter(ctx, &cfg)}
	done := make(chan struct{})
	var code uint32
	var err error
	netns := callersNetns()
	m.runs.Go(func() {
		defer close(done)
		defer m.exit()
		goruntime.LockOSThread() // what it takes of CPU is measured on its thread
		defer goruntime.UnlockOSThread()
		inst.thread.Store(int32(unix.Gettid()))
		if nerr := inNetns(netns, func() { code, err = inst.run(ctx) }); nerr != nil {
			err = errors.Join(err, nerr)
		}
	})
	select {
	case <-done:
	case <-ctx.Done():
		if !inst.stop(context.Cause(ctx), done) {
			return 0, fmt.Errorf("run %s: %w", m.name, ErrStuck)
		}
	}
	if cfg.Usage != nil {
		*cfg.Usage = inst.usage
		cfg.Usage.Fuel = inst.meter.used
	}
	if cause := context.Cause(ctx); cause != nil {
		return code, cause
	}
	return code, err
}

func defaults(cfg *Config) {
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.Report == nil {
		cfg.Report = func(string, error) {}
	}
	if cfg.Note == nil {
		cfg.Note = func(string, error) {}
	}
}

// run is one instance on its way from start to clean-up.
type run struct {
	module  *Module
	cfg     Config
	meter   meter
	cpu     *cpuMeter
	usage   Usage
	thread  atomic.Int32          // that the guest runs on; 0 before it does
	killed  atomic.Pointer[error] // why guest code must not go on
	left    atomic.Bool           // guest code does not run any more
	closing atomic.Int32          // closings that the guest waits for
}

// run binds, instantiates, calls, and closes everything again, newest first.
func (r *run) run(ctx context.Context) (code uint32, err error) {
	bounds, funcs, err := r.bind()
	defer func() {
		for i := len(bounds) - 1; i >= 0; i-- {
			if bounds[i] != nil {
				err = errors.Join(err, bounds[i].Close())
			}
		}
	}()
	if err != nil {
		return 0, err
	}
	cfg := engine.InstanceConfig{Funcs: funcs, MemoryLimit: r.cfg.MemoryLimit}
	if r.module.needsWASI {
		stdin, closeStdin := stoppable(ctx, r.cfg.Stdin)
		defer closeStdin()
		cfg.WASI = &engine.WASI{
			Args: append([]string{r.module.name}, r.cfg.Args...), Env: r.cfg.Env, Dirs: r.cfg.Dirs, MaxFiles: r.cfg.MaxFiles,
			Stdin: stdin, Stdout: r.cfg.Stdout, Stderr: r.cfg.Stderr, Stop: ctx.Done(),
		}
	}
	r.cpu.begin()
	in, err := r.module.code.Instantiate(ctx, cfg)
	if err == nil {
		err = r.call(ctx, in)
		r.fuelLeft(ctx, in)
		r.usage.Memory = uint64(len(in.Memory()))
		r.left.Store(true)
		defer func() { err = errors.Join(err, in.Close()) }()
	}
	r.usage.CPU, r.usage.Slept = r.cpu.end()
	var exit *engine.ExitError
	if errors.As(err, &exit) {
		return exit.Code, nil
	}
	return 0, plain(err)
}

// bind makes the providers' side of this instance.
func (r *run) bind() ([]engine.Bound, []engine.HostFunc, error) {
	providers := r.module.rt.providers
	env := engine.Env{Name: r.module.name, Log: r.cfg.Log, Report: r.cfg.Report, Note: r.cfg.Note, Closing: r.closes}
	bounds := make([]engine.Bound, len(providers))
	funcs := []engine.HostFunc{r.yield(), r.overflow()}
	for _, l := range r.module.links {
		if bounds[l.provider] == nil {
			b, err := providers[l.provider].Bind(env)
			if err != nil {
				return bounds, nil, err
			}
			bounds[l.provider] = b
		}
		funcs = append(funcs, r.cpu.throttled(bounds[l.provider].Func(l.imp)))
	}
	return bounds, funcs, nil
}

// call runs the entry points.
func (r *run) call(ctx context.Context, in engine.Instance) error {
	entries := 0
	for _, name := range []string{"_initialize", "_start"} {
		typ, ok := in.HasExport(name)
		if !ok {
			continue
		}
		entries++
		if len(typ.Params)+len(typ.Results) > 0 {
			return fmt.Errorf("export %s has type %s, want (); the module is no WASI command or reactor", name, typ)
		}
		if err := in.Call(ctx, name, typ, nil); err != nil {
			return err
		}
	}
	if entries == 0 {
		return errors.New("the module exports neither _start nor _initialize, so there is nothing to run; build it as a WASI command")
	}
	return nil
}

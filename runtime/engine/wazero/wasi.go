package wazero

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	wz "github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/experimental/sysfs"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// wasi is what one instance holds open for WASI.
type wasi struct{ roots []*rootFS }

// openWASI opens the preopened directories and completes the configuration.
// The streams stay the caller's.
func openWASI(cfg *engine.WASI, conf wz.ModuleConfig) (*wasi, wz.ModuleConfig, error) {
	conf = conf.WithArgs(cfg.Args...).WithStdin(cfg.Stdin).WithStdout(cfg.Stdout).WithStderr(cfg.Stderr).
		WithSysWalltime().WithSysNanotime().WithRandSource(randomness{cfg.Stop}).WithNanosleep(sleeper(cfg.Stop))
	for _, arg := range cfg.Args {
		if strings.IndexByte(arg, 0) >= 0 {
			return nil, nil, fmt.Errorf("argument %q holds a NUL byte, WASI cannot pass it", arg)
		}
	}
	for _, kv := range cfg.Env {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || name == "" || strings.IndexByte(kv, 0) >= 0 {
			return nil, nil, fmt.Errorf("environment entry %q: it must read NAME=value, without NUL bytes", kv)
		}
		conf = conf.WithEnv(name, value)
	}
	w := &wasi{}
	fsc := wz.NewFSConfig()
	open := map[*rootFile]struct{}{}
	for _, d := range cfg.Dirs {
		root, err := os.OpenRoot(d.Host)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("preopen %s: %w", d.Host, err), w.close())
		}
		r := &rootFS{root: root, write: d.Write, open: open, most: cfg.FilesLimit()}
		w.roots = append(w.roots, r)
		fsc = fsc.(sysfs.FSConfig).WithSysFSMount(r, d.Guest)
	}
	return w, conf.WithFSConfig(fsc), nil
}

// close closes the directories and what the guest left open in them.
func (w *wasi) close() error {
	if w == nil {
		return nil
	}
	var errs []error
	for i := len(w.roots) - 1; i >= 0; i-- {
		errs = append(errs, w.roots[i].close())
	}
	w.roots = nil
	return errors.Join(errs...)
}

// sleeper sleeps until the time has passed or stop is closed.
func sleeper(stop <-chan struct{}) func(int64) {
	return func(ns int64) {
		t := time.NewTimer(time.Duration(ns))
		defer t.Stop()
		select {
		case <-t.C:
		case <-stop:
		}
	}
}

// randomness is the kernel's, in pieces, because a guest may ask for gigabytes and
// has to be stopped all the same.
type randomness struct{ stop <-chan struct{} }

// randomPiece takes well under a millisecond.
const randomPiece = 64 << 10

func (r randomness) Read(p []byte) (n int, err error) {
	for n < len(p) {
		select {
		case <-r.stop:
			return n, io.ErrUnexpectedEOF
		default:
		}
		k, err := rand.Read(p[n:min(len(p), n+randomPiece)])
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// callCounter counts the calls of WASI functions, which are wazero's own, on their instances.
type callCounter struct{}

var _ experimental.FunctionListener = callCounter{}

// NewFunctionListener makes it listen to every function.
func (c callCounter) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener {
	return c
}

// Before counts a call.
func (callCounter) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if c, ok := ctx.(*callCtx); ok {
		c.in.crossings++
	}
}

// After does nothing.
func (callCounter) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort does nothing.
func (callCounter) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

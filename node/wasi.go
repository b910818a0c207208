package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// wasi is what of WASI a plugin gets: what the operator gives it on the command line, unless it is denied, and what is granted.
type wasi struct {
	env  []string
	dirs []engine.Dir
	held []*os.File // the granted directories, open so that none can be put in their place
}

// Close closes the directories.
func (w *wasi) Close() error {
	var errs []error
	for _, f := range w.held {
		errs = append(errs, f.Close())
	}
	w.held = nil
	return errors.Join(errs...)
}

// wasi works out what a plugin gets. The error of what the policy denies matches [policy.ErrDenied].
func (g *guard) wasi(opts RunOptions, wasm []byte) (*wasi, error) {
	w := &wasi{}
	err := g.imports(wasm)
	if err == nil {
		err = g.givenDirs(w, opts.Dirs)
	}
	if err == nil {
		err = g.environment(w, opts)
	}
	if err == nil {
		err = g.grantedDirs(w, opts.Allow)
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// clocks are the functions that tell the time.
var clocks = []string{"clock_time_get", "clock_res_get", "kernel_clock"}

// imports refuses a plugin that imports what only lines that deny take away: there is no good answer for a clock without a time.
func (g *guard) imports(wasm []byte) error {
	clock, random := g.rights.Check(policy.Action{Kind: policy.Clock}), g.rights.Check(policy.Action{Kind: policy.Random})
	network := g.rights.Granted("network")
	if clock == nil && random == nil && !network {
		return nil
	}
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil // loading it says what is wrong
	}
	for _, i := range f.Imports {
		switch name := i.Module + "." + i.Name; {
		case i.Module != wasiModule && i.Module != abi.Module:
		case clock != nil && slices.Contains(clocks, i.Name):
			g.decided(policy.Action{Kind: policy.Clock}, clock)
			return fmt.Errorf("import %s: %w", name, clock)
		case random != nil && i.Name == "random_get":
			g.decided(policy.Action{Kind: policy.Random}, random)
			return fmt.Errorf("import %s: %w", name, random)
		case network && strings.HasPrefix(i.Name, "sock_"):
			g.t.line("the network is granted, but there are no sockets of WASI to give: " + name + " finds none")
			network = false
		}
	}
	return nil
}

// wasiModule is WASI preview 1.
const wasiModule = "wasi_snapshot_preview1"

// givenDirs takes the directories of the command line, if no line denies them.
func (g *guard) givenDirs(w *wasi, dirs []engine.Dir) error {
	for _, d := range dirs {
		err := g.denied(d.Host, d.Write)
		if err != nil {
			return fmt.Errorf("--dir %s: %w", d.Host, err)
		}
		w.dirs = append(w.dirs, d)
	}
	return nil
}

// denied answers why a directory may not be given, whoever asks: by its path, by the one behind symbolic links, or because the path that a line
// denies leads there.
func (g *guard) denied(dir string, write bool) error {
	paths := make([]string, 0, 2)
	if abs, err := filepath.Abs(dir); err == nil {
		paths = append(paths, abs)
		if real, err := filepath.EvalSymlinks(abs); err == nil && real != abs {
			paths = append(paths, real)
		}
	}
	for _, p := range paths {
		a := policy.Action{Kind: policy.Dir, Name: p, Write: write}
		if err := g.rights.Denies(a); err != nil {
			g.decided(a, err)
			return err
		}
	}
	for _, d := range g.rights.DeniedDirs() {
		real, err := filepath.EvalSymlinks(d.Path)
		if err != nil || real == d.Path || d.Write && !write {
			continue
		}
		for _, p := range paths {
			if inside(p, real) || inside(real, p) {
				a := policy.Action{Kind: policy.Dir, Name: d.Path, Write: write}
				if err := g.rights.Denies(a); err != nil {
					g.decided(a, err)
					return err
				}
			}
		}
	}
	return nil
}

// inside reports whether a path is a directory or below it.
func inside(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// environment takes the variables of the command line, if no line denies them, and adds those of the host that are granted.
func (g *guard) environment(w *wasi, opts RunOptions) error {
	for _, l := range opts.Allow {
		name := l.Grant.Target()
		if l.Grant.Word() != "env" || name == "" || strings.ContainsAny(name, "*?") {
			continue
		}
		a := policy.Action{Kind: policy.Env, Name: name}
		if err := g.rights.Denies(a); err != nil { // who adds it by name has to know
			g.decided(a, err)
			return fmt.Errorf("--allow env:%s: %w", name, err)
		}
	}
	set := map[string]bool{}
	for _, kv := range opts.Env {
		name, _, _ := strings.Cut(kv, "=")
		a := policy.Action{Kind: policy.Env, Name: name}
		if err := g.rights.Denies(a); err != nil {
			g.decided(a, err)
			return fmt.Errorf("--env %s: %w", name, err)
		}
		set[name] = true
		w.env = append(w.env, kv)
	}
	for _, kv := range os.Environ() {
		name, _, ok := strings.Cut(kv, "=")
		if ok && name != "" && !set[name] && g.rights.Variable(name) {
			g.decided(policy.Action{Kind: policy.Env, Name: name}, nil)
			set[name] = true
			w.env = append(w.env, kv)
		}
	}
	return nil
}

// grantedDirs opens the directories that lines name. One that is not there is told; the plugin finds that out itself.
func (g *guard) grantedDirs(w *wasi, added []policy.Line) error {
	for _, p := range g.rights.Preopens() {
		a := policy.Action{Kind: policy.Dir, Name: p.Path, Write: p.Write}
		if p.Err != nil {
			g.decided(a, p.Err)
			continue
		}
		if slices.ContainsFunc(w.dirs, func(d engine.Dir) bool { return d.Guest == p.Guest }) {
			continue // the command line puts another one there
		}
		f, err := g.openGranted(p)
		switch {
		case errors.Is(err, policy.ErrDenied):
			continue
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			byName := func(l policy.Line) bool {
				return l.Grant.Word() == "dir" && strings.TrimSuffix(l.Grant.Target(), ":rw") == p.Guest
			}
			if p.Asked || slices.ContainsFunc(added, byName) {
				g.t.line(fmt.Sprintf("directory %s is granted, but there is none", p.Path))
			} else {
				g.t.detail("directory %s is granted, but there is none", p.Path)
			}
			continue
		case err != nil:
			return fmt.Errorf("directory %s, which is granted: %w", p.Path, err)
		}
		g.decided(a, nil)
		w.held = append(w.held, f)
		w.dirs = append(w.dirs, engine.Dir{Host: fdPath(f), Guest: p.Guest, Write: p.Write})
	}
	return nil
}

// openGranted opens a granted directory. Behind a symbolic link there has to be one that is granted as well: whoever can put a link there
// must not choose what a plugin gets.
func (g *guard) openGranted(p policy.Preopen) (*os.File, error) {
	real, err := filepath.EvalSymlinks(p.Path)
	if err != nil {
		return nil, err
	}
	if err := g.denied(p.Path, p.Write); err != nil {
		return nil, err
	}
	if real != p.Path {
		a := policy.Action{Kind: policy.Dir, Name: real, Write: p.Write}
		if err := g.rights.CheckBox(a); err != nil {
			g.decided(a, err)
			g.t.line(fmt.Sprintf("directory %s is a symbolic link to %s, which is not granted", p.Path, real))
			return nil, err
		}
	}
	f, err := os.OpenFile(real, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if now, err := os.Readlink(fdPath(f)); err != nil || now != real {
		return nil, errors.Join(fmt.Errorf("%s: it was moved while it was opened", real), err, f.Close())
	}
	return f, nil
}

// fdPath is a path that leads to an open file, whatever is put in its place.
func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

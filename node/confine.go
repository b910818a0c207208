package node

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// giveUp takes from this process what it does not need for the plugin. What compiling goes on with is given up by the result, which is to be
// called before the plugin runs.
//
// What cannot be given up ends the run: whoever wants to run a plugin with more power than it needs says so. A kernel without Landlock
// is no such case, because that is how most boxes are today; it is told with Verbose.
func giveUp(opts RunOptions, rights *policy.Rights, wasm []byte, dirs []engine.Dir, t *talk) (compiled func() error, err error) {
	r := requires(rights, wasm, dirs)
	for _, name := range opts.KeepCapabilities {
		c, ok := kernel.ParseCap(name)
		if !ok {
			return nil, fmt.Errorf("keep capability %q: there is none of that name", name)
		}
		r.caps |= kernel.Caps(c)
	}
	if r.bpf {
		if err := confine.LiftMemlock(); err != nil {
			t.detail("%v", err)
		}
	}
	compile := r.caps
	if dir, err := cacheDir(opts.CacheDir); err == nil && dir != "" {
		_ = os.MkdirAll(dir, 0o700) // below a directory that stays closed; that it cannot be made the engine says
		r.paths = append(r.paths, confine.Path{Name: dir, Write: true})
		if ofAnother(dir) {
			compile |= kernel.Caps(kernel.CapDACOverride)
		}
	}
	abi := confine.FilesABI()
	switch {
	case r.processes != "":
		t.detail("all files stay open to the host: %q looks into processes, which Landlock forbids", r.processes)
	case abi == 0:
		t.detail("all files stay open to the host: this kernel has no Landlock, or it is off")
	default:
		if err := confine.Files(r.paths); err != nil {
			return nil, unconfined(err)
		}
		t.detail("the host opens only the files that it needs (Landlock version %d)", abi)
	}
	had, err := kernel.Capabilities()
	if err != nil {
		return nil, unconfined(err)
	}
	if err := confine.Drop(compile); err != nil {
		return nil, unconfined(err)
	}
	t.detail("the host keeps these capabilities: %s", had&r.caps)
	t.gaveUp = had&^r.caps != 0
	return func() error {
		if compile == r.caps {
			return nil
		}
		return unconfined(confine.Drop(r.caps))
	}, nil
}

// explainPrivilege says, when a privilege was missing, that it may have been given up.
func explainPrivilege(err error, t *talk) {
	if t.gaveUp && errors.Is(err, bpf.ErrPermission) {
		t.line("the process gave up the privileges that the plugin's grants do not take; --privileges needed,CAP_NAME keeps one more, " +
			"--privileges keep all")
	}
}

func unconfined(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("give up privileges: %w; --privileges keep runs the plugin in spite of that", err)
}

// ofAnother reports whether a directory belongs to another user, as the cache does under some ways of sudo.
func ofAnother(dir string) bool {
	var st unix.Stat_t
	return unix.Stat(dir, &st) == nil && int(st.Uid) != os.Geteuid()
}

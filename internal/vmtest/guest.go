package vmtest

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Program is what a guest runs.
type Program struct {
	// Name is the file's name in the guest.
	Name string
	// Path is a static x86-64 executable on this machine.
	Path string
	// Args are its arguments.
	Args []string
	// Dir is where it runs in the guest. The guest has the folders of Guest.Files.
	Dir string
}

func (p Program) guestPath() string { return path.Join("/programs", p.Name) }

// Guest is a machine to boot.
type Guest struct {
	Kernel *Kernel
	// Init is a static x86-64 executable that calls [Init] as process 1.
	Init string
	// Userland is a folder that becomes the guest's root.
	Userland string
	// Files are files and folders of this machine, by their path in the guest.
	Files map[string]string
	// Programs run one after the other.
	Programs []Program
	// Append is added to the kernel's command line.
	Append string
	// Console gets the kernel's messages.
	Console string
	// Memory is in MiB. Zero means 2048.
	Memory int
	// BootLimit is the time until init runs, Silence the longest time without a word, Limit the time for all. Zero means 1, 3 and 15
	// minutes.
	BootLimit, Silence, Limit time.Duration

	// OnStart, OnOutput and OnExit are called in this order for each program.
	OnStart  func(program int)
	OnOutput func(p []byte)
	OnExit   func(status int)
}

// Run boots the guest and returns when its programs have ended. An error that matches [ErrGuest] is the guest's, not a program's: it
// crashed, or passed a time limit. The guest ends with ctx.
func (g *Guest) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "bowline-vmtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initrd")
	if err := g.writeInitrd(initrd); err != nil {
		return err
	}
	return g.boot(ctx, initrd)
}

func (g *Guest) writeInitrd(file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	a := newArchive(f)
	o := order{Programs: g.Programs, Now: time.Now().UnixNano()}
	if err := a.tree(g.Userland, "/"); err != nil {
		return err
	}
	if err := addExecutable(a, g.Init, "/init"); err != nil {
		return err
	}
	for _, p := range g.Programs {
		if err := addExecutable(a, p.Path, p.guestPath()); err != nil {
			return err
		}
		if err := a.dir(p.Dir); err != nil {
			return err
		}
	}
	for name, src := range g.Files {
		if err := a.tree(src, name); err != nil {
			return err
		}
	}
	if err := a.tree(g.Kernel.config(), "/boot/config-"+g.Kernel.Release); err != nil {
		return err
	}
	for _, m := range g.Kernel.Modules {
		name := path.Join("/.vmtest", m)
		if err := a.tree(filepath.Join(g.Kernel.dir, m), name); err != nil {
			return err
		}
		o.Modules = append(o.Modules, name)
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := a.bytes(orderPath, 0o644, b); err != nil {
		return err
	}
	for _, d := range []string{"proc", "sys", "dev", "tmp", "run"} {
		if err := a.dir(d); err != nil {
			return err
		}
	}
	return a.close()
}

// addExecutable refuses what could not run in the guest.
func addExecutable(a *archive, src, name string) error {
	f, err := elf.Open(src)
	if err != nil {
		return fmt.Errorf("read %s: %w", src, err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("%s is for %s; build it with GOARCH=amd64", src, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s needs libraries; build it with CGO_ENABLED=0", src)
		}
	}
	return a.tree(src, name)
}

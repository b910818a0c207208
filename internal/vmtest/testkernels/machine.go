package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/vmtest"
)

// local is the name of this machine's kernel.
const local = "local"

// machine runs all tests on one kernel.
type machine struct {
	o      *options
	built  *built
	kernel *vmtest.Kernel // nil for this machine
	report *report
}

// printing keeps the lines of machines apart.
var printing sync.Mutex

func (m *machine) say(format string, args ...any) {
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("%-7s "+format+"\n", append([]any{m.report.Kernel}, args...)...)
}

func (m *machine) arguments(limit time.Duration) []string {
	return []string{"-test.v=test2json", "-test.short", "-test.timeout=" + limit.String(), "-test.run=" + m.o.run}
}

// runGuest boots the kernel, once more if the guest crashes or hangs.
func (m *machine) runGuest(ctx context.Context) {
	began := time.Now()
	for m.report.Boots < 2 {
		m.report.Boots++
		m.report.Tests = nil
		err := m.boot(ctx)
		m.report.Seconds = time.Since(began).Seconds()
		if err == nil {
			m.report.Error = ""
			return
		}
		m.report.Error = err.Error()
		m.say("%v", err)
		if !errors.Is(err, vmtest.ErrGuest) {
			return
		}
	}
}

func (m *machine) boot(ctx context.Context) error {
	log := filepath.Join(m.built.dir, m.report.Kernel)
	defer m.keepLogs()
	g := &vmtest.Guest{
		Kernel: m.kernel, Init: m.built.init, Userland: m.built.userland, Files: m.built.files(),
		Console: log + ".console", BootLimit: m.o.boot, Limit: m.o.limit,
	}
	for _, t := range m.built.tests {
		g.Programs = append(g.Programs, vmtest.Program{
			Name: filepath.Base(t.guest), Path: t.guest, Dir: t.guestDir(), Args: m.arguments(m.o.limit),
		})
	}
	all, err := os.Create(log + ".log")
	if err != nil {
		return err
	}
	defer all.Close()
	var (
		out   bytes.Buffer
		began time.Time
		at    int
		bad   error
	)
	g.OnStart = func(n int) { out.Reset(); began = time.Now(); at = n }
	g.OnOutput = func(p []byte) { out.Write(p) }
	g.OnExit = func(status int) {
		_, err := all.Write(out.Bytes())
		bad = errors.Join(bad, err, m.finish(ctx, m.built.tests[at], out.Bytes(), status, time.Since(began)))
	}
	err = g.Run(ctx)
	if err != nil {
		// What the program that did not end said is worth knowing.
		_, _ = all.Write(out.Bytes())
		os.Stdout.Write(tail(out.Bytes(), 4000))
	}
	return errors.Join(err, bad)
}

// keepLogs moves what was written to where people find it. Other runs do the same; the last one stays.
func (m *machine) keepLogs() {
	for _, name := range []string{m.report.Kernel + ".log", m.report.Kernel + ".console"} {
		b, err := os.ReadFile(filepath.Join(m.built.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(m.o.cache, "logs", name), b, 0o644)
		}
		if err != nil {
			m.say("the log is lost: %v", err)
		}
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// runLocal runs the tests here, with sudo if need be.
func (m *machine) runLocal(ctx context.Context) {
	began := time.Now()
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		m.report.Release = unix.ByteSliceToString(u.Release[:])
	}
	for _, t := range m.built.tests {
		args := append([]string{t.native}, m.arguments(m.o.limit)...)
		if os.Geteuid() != 0 {
			args = append([]string{"sudo", "-E"}, args...)
		}
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = t.dir
		start := time.Now()
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			m.report.Error = err.Error()
			return
		}
		if err := m.finish(ctx, t, out, cmd.ProcessState.ExitCode(), time.Since(start)); err != nil {
			m.report.Error = err.Error()
			return
		}
	}
	m.report.Seconds = time.Since(began).Seconds()
}

// finish reads and shows what the tests of one package said.
func (m *machine) finish(ctx context.Context, t testBinary, out []byte, status int, took time.Duration) error {
	r, err := readResult(ctx, t.pkg, out)
	if err != nil {
		return err
	}
	r.Seconds, r.Status = took.Seconds(), status
	m.report.Tests = append(m.report.Tests, r)
	passed, skipped, failed := r.count()
	word := "ok  "
	if status != 0 {
		word = "FAIL"
	}
	m.say("%s %-28s %6.1fs  %d passed, %d skipped, %d failed", word, t.rel, r.Seconds, passed, skipped, failed)
	if status != 0 || m.o.verbose {
		printing.Lock()
		defer printing.Unlock()
		os.Stdout.WriteString(r.text(m.o.verbose))
	}
	return nil
}

package vmtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const qemu = "qemu-system-x86_64"

func (g *Guest) boot(ctx context.Context, initrd string) error {
	if _, err := exec.LookPath(qemu); err != nil {
		return fmt.Errorf("%s is not installed; run .ci/setup kernels", qemu)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, orDefault(g.Limit, 15*time.Minute), errors.New("time limit passed"))
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, g.arguments(initrd)...)
	// QEMU must not outlive this process, however it ends. The signal follows the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe() // the end of standard input would close the port
	if err != nil {
		return err
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", qemu, err)
	}
	relayErr := g.relay(ctx, out, cmd.Process)
	why := context.Cause(ctx)
	_ = cmd.Process.Kill() // a guest that has reported needs no shutdown
	_ = cmd.Wait()
	switch {
	case relayErr == nil:
		return nil
	case why != nil && !errors.Is(why, context.Canceled):
		relayErr = why
	case why != nil:
		return why
	}
	err = fmt.Errorf("%w: Linux %s: %w", ErrGuest, g.Kernel.Release, relayErr)
	if s := strings.TrimSpace(complaints.String()); s != "" {
		err = fmt.Errorf("%w\n%s", err, s)
	}
	if console, _ := os.ReadFile(g.Console); len(console) > 0 {
		err = fmt.Errorf("%w\nlast words of the console:\n%s", err, lastLines(string(console), 25))
	}
	return err
}

func (g *Guest) arguments(initrd string) []string {
	accel, cpu := "tcg", "max"
	if hardwareKVM() {
		accel, cpu = "kvm", "host"
	}
	memory := g.Memory
	if memory == 0 {
		memory = 2048
	}
	// One CPU: with two, emulation hangs now and then. On a busy host the kernel would take a late timer for a broken one.
	return []string{
		"-M", "pc", "-accel", accel, "-cpu", cpu, "-smp", "1", "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", g.Kernel.image(), "-initrd", initrd,
		"-append", strings.TrimSpace("console=ttyS0 panic=-1 oops=panic reboot=t audit=0 nowatchdog no_timer_check random.trust_cpu=on quiet " + g.Append),
		"-chardev", "file,id=console,path=" + strings.ReplaceAll(g.Console, ",", ",,"), "-serial", "chardev:console",
		"-chardev", "stdio,id=frames,signal=off", "-serial", "chardev:frames",
	}
}

// hardwareKVM reports whether the processor itself virtualises. /dev/kvm alone is not enough: behind it may be a software that does
// not boot every kernel.
func hardwareKVM() bool {
	if runtime.GOARCH != "amd64" {
		return false
	}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || !(strings.Contains(string(b), " vmx ") || strings.Contains(string(b), " svm ")) {
		return false
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// relay takes frames until all programs have ended. A guest that says nothing for too long is ended.
func (g *Guest) relay(ctx context.Context, r io.Reader, p *os.Process) error {
	boot, silence := orDefault(g.BootLimit, time.Minute), orDefault(g.Silence, 3*time.Minute)
	limit := boot
	watch := time.AfterFunc(limit, func() { _ = p.Kill() })
	defer watch.Stop()
	last := time.Now()
	buf := make([]byte, maxFrame)
	for {
		kind, body, err := readFrame(r, buf)
		if err != nil {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case time.Since(last) >= limit:
				return fmt.Errorf("no word for %s", limit)
			case errors.Is(err, io.EOF):
				return errors.New("it ended before its programs did")
			}
			return err
		}
		last = time.Now()
		switch kind {
		case frameReady:
			limit = silence
		case frameStart, frameExit:
			n, err := number(body)
			if err != nil {
				return err
			}
			if kind == frameStart {
				g.OnStart(n)
			} else {
				g.OnExit(n)
			}
		case frameOutput:
			g.OnOutput(body)
		case frameFail:
			return fmt.Errorf("init: %s", body)
		case frameDone:
			return nil
		}
		watch.Reset(limit)
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(s, "\r", "")), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

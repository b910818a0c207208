package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// command is this program as the command, with a cache of its own for the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Args = append([]string{appName}, args...)
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	return c
}

// started is a plugin that runs and has printed its first line.
type started struct {
	*exec.Cmd
	in             io.Writer
	out            *bufio.Reader
	stderr         bytes.Buffer
	parent, plugin int // processes; they are the same without --isolate
}

// start runs a plugin, which gets a line of input, until its first line of output. It ends with the test, at the latest.
func start(t *testing.T, isolate bool, args ...string) *started {
	t.Helper()
	if isolate {
		args = append([]string{"--isolate"}, args...)
	}
	return startCommand(t, isolate, command(t, append([]string{"run"}, args...)...))
}

func startCommand(t *testing.T, isolate bool, c *exec.Cmd) *started {
	t.Helper()
	s := &started{Cmd: c}
	if s.SysProcAttr == nil {
		s.SysProcAttr = &syscall.SysProcAttr{}
	}
	s.SysProcAttr.Setpgid = true
	s.Stderr = &s.stderr
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if s.in, err = s.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(s.in, "ready\n"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Process.Kill()
		_ = s.Wait()
	})
	s.out = bufio.NewReader(out)
	if l, err := s.out.ReadString('\n'); err != nil {
		_ = s.Wait()
		t.Fatalf("first line %q: %v\n%s", l, err, s.stderr.String())
	}
	s.parent, s.plugin = s.Process.Pid, s.Process.Pid
	if isolate {
		s.plugin = childOf(t, s.parent)
	}
	return s
}

// childOf finds the one child of a process.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, _ := os.ReadFile(f) // it may have ended
		_, rest, _ := bytes.Cut(b, []byte(") "))
		if fields := strings.Fields(string(rest)); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}

// ended waits for the command and answers its exit code.
func (s *started) ended(t *testing.T) int {
	t.Helper()
	var exit *exec.ExitError
	if err := s.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return s.ProcessState.ExitCode()
}

// watchEnd answers a function that waits until a process is gone.
func watchEnd(t *testing.T, pid int) func() {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		defer unix.Close(fd)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			n, err := unix.Poll(fds, 10_000)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n != 1 {
				t.Fatalf("process %d still runs: %v", pid, err)
			}
			return
		}
	}
}

func signalTo(t *testing.T, pid int, s unix.Signal) {
	t.Helper()
	if err := unix.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

func TestIsolatedPluginsEndAsOthers(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		code  int
	}{
		{"arguments and an exit code", []string{"testdata/echo.wasm", "--", "a", "b"}, "", 2},
		{"input", []string{"../../runtime/testdata/cat.wasm"}, "one\ntwo\n", 7},
		{"a trap", []string{"testdata/trap.wasm"}, "", 1},
		{"a time-out", []string{"testdata/loop.wasm", "--timeout", "1s"}, "", 124},
		{"a module from standard input", []string{"-"}, "\x00asm\x01\x00\x00\x00", 1},
		{"no such file", []string{"no.wasm"}, "", 1},
		{"wrong options", []string{"testdata/echo.wasm", "--memory", "x"}, "", 2},
		{"denied", []string{"../../examples/execsnoop/execsnoop.wasm"}, "", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var outs, errs [2]string
			for i, with := range [][]string{{"run"}, {"run", "--isolate"}} {
				cmd := command(t, append(with, c.args...)...)
				var stdout, stderr bytes.Buffer
				cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
				var exit *exec.ExitError
				if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
					t.Fatal(err)
				}
				if got := cmd.ProcessState.ExitCode(); got != c.code {
					t.Errorf("%s: exit code %d, want %d\n%s", with, got, c.code, stderr.String())
				}
				outs[i], errs[i] = stdout.String(), withoutTimes(stderr.String())
			}
			if outs[0] != outs[1] || errs[0] != errs[1] {
				t.Errorf("without --isolate:\n%s%swith it:\n%s%s", outs[0], errs[0], outs[1], errs[1])
			}
		})
	}
}

// withoutTimes cuts lines off where an audit line has its time.
func withoutTimes(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		l, _, _ = strings.Cut(l, `{"time":`)
		b.WriteString(l)
	}
	return b.String()
}

func TestASignalStopsAnIsolatedPlugin(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(s *started) (pid int)
	}{
		{"to the parent", func(s *started) int { return s.parent }},
		{"to both, as a terminal does it", func(s *started) int { return -s.parent }},
		{"to the plugin's process", func(s *started) int { return s.plugin }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, true, "../../runtime/testdata/cat.wasm") // which ends with its input
			gone := watchEnd(t, s.plugin)
			signalTo(t, c.send(s), unix.SIGINT)
			if code := s.ended(t); code != 130 {
				t.Errorf("exit code %d, want 130\n%s", code, s.stderr.String())
			}
			gone()
			if s.stderr.Len() > 0 {
				t.Errorf("standard error: %s", s.stderr.String())
			}
		})
	}
}

// A process that is stopped stands for one in which nothing runs any more that could stop the plugin.
func TestAPluginThatDoesNotComeBackIsKilled(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		end  func(t *testing.T, s *started)
		most time.Duration
		code int
		told string
	}{
		{"after a signal", nil, func(t *testing.T, s *started) { signalTo(t, s.parent, unix.SIGTERM) }, 0, 130, "did not come back in time"},
		{"after its time-out", []string{"--timeout", "2s"}, func(*testing.T, *started) {}, 2 * time.Second, 124, "did not come back in time"},
		{"at the second signal", nil, func(t *testing.T, s *started) {
			signalTo(t, s.parent, unix.SIGINT)
			signalTo(t, s.parent, unix.SIGTERM) // two of one kind would be one
		}, 0, 130, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, true, append([]string{"testdata/loop.wasm"}, c.args...)...)
			gone := watchEnd(t, s.plugin)
			signalTo(t, s.plugin, unix.SIGSTOP)
			since := time.Now()
			c.end(t, s)
			code := s.ended(t)
			gone()
			took := time.Since(since)
			t.Logf("gone after %s", took)
			if code != c.code || !strings.Contains(s.stderr.String(), c.told) || c.told == "" && s.stderr.Len() > 0 {
				t.Errorf("exit code %d, want %d with %q\n%s", code, c.code, c.told, s.stderr.String())
			}
			if most := c.most + isolationGrace + busy; took > most {
				t.Errorf("it took %s, want at most %s", took, most)
			}
		})
	}
}

// A write to a pipe that nobody reads does not come back.
func TestAnIsolatedPluginThatWritesToNobodyEnds(t *testing.T) {
	s := start(t, true, "testdata/flood.wasm")
	gone := watchEnd(t, s.plugin)
	since := time.Now()
	signalTo(t, s.parent, unix.SIGTERM)
	gone()
	if took := time.Since(since); took > isolationGrace+busy {
		t.Errorf("it took %s", took)
	}
	if code := s.ended(t); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, s.stderr.String())
	}
}

// busy is for a machine that does other things, too.
const busy = time.Second

func TestNeitherProcessOutlivesTheOther(t *testing.T) {
	t.Run("the parent is killed", func(t *testing.T) {
		s := start(t, true, "testdata/loop.wasm")
		gone := watchEnd(t, s.plugin)
		signalTo(t, s.parent, unix.SIGKILL)
		gone()
	})
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGHUP} {
		t.Run("the plugin's process gets "+unix.SignalName(sig), func(t *testing.T) {
			s := start(t, true, "testdata/loop.wasm")
			signalTo(t, s.plugin, sig)
			code := s.ended(t)
			want := fmt.Sprintf("run testdata/loop.wasm: the process of the plugin was killed by %s\n", unix.SignalName(sig))
			if code != 128+int(sig) || !strings.HasSuffix(s.stderr.String(), want) {
				t.Errorf("exit code %d, want %d with %q\n%s", code, 128+int(sig), want, s.stderr.String())
			}
		})
	}
}

func TestAChildWithoutItsParentDoesNotStart(t *testing.T) {
	c := command(t, "version")
	c.Env = append(c.Env, "BOWLINE_ISOLATED_BY=1")
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "is gone") {
		t.Errorf("%v\n%s", err, out)
	}
}

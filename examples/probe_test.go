package examples_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/node"
)

// reader is a process that calls read of its C library once for each line that it
// gets, and for nothing else.
type reader struct {
	t   *testing.T
	pid int
	in  *os.File
	out *bufio.Reader
}

// newReader starts a reader, which has read a line when newReader returns.
func newReader(t *testing.T) *reader {
	t.Helper()
	in, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	c := exec.Command("cat")
	c.Stdin = in
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		write.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("cat: %v", err)
		}
	})
	r := &reader{t: t, pid: c.Process.Pid, in: write, out: bufio.NewReader(out)}
	r.lines(1)
	return r
}

// lines lets the reader read n lines, one by one. It is in the next call, or just
// before it, when lines returns.
func (r *reader) lines(n int) {
	r.t.Helper()
	for range n {
		if _, err := r.in.WriteString("line\n"); err != nil {
			r.t.Fatal(err)
		}
		if got, err := r.out.ReadString('\n'); err != nil || got != "line\n" {
			r.t.Fatalf("got %q, %v from cat", got, err)
		}
	}
}

// libc is the file of a C library: of glibc, of older versions of it, of musl.
var libc = regexp.MustCompile(`/(libc\.|libc-|ld-musl)[^/]*$`)

// target are arguments for the function read in the reader's C library.
func (r *reader) target() []string {
	r.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", r.pid))
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) == 6 && strings.Contains(f[1], "x") && libc.MatchString(f[5]) {
			return []string{"--pid", strconv.Itoa(r.pid), f[5] + ":read"}
		}
	}
	r.t.Skip("cat of this machine has no shared C library to probe")
	return nil
}

// setupUprobe probes a function of a library in one process. The call that the
// process is in when the plugin attaches is not counted; the last is not timed.
func setupUprobe(t *testing.T) row {
	r := newReader(t)
	vars := map[string]string{"calls": "5"}
	return row{args: r.target(), vars: vars, cause: func() { r.lines(5) }}
}

// setupUprobeVerbose wants one line for each call that has returned.
func setupUprobeVerbose(t *testing.T) row {
	r := newReader(t)
	return row{
		args: append([]string{"--verbose", "--count", "2"}, r.target()...), vars: map[string]string{"pid": strconv.Itoa(r.pid)},
		golden: `must TIME +PID +TID +COMM +DURATION
			must \d\d:\d\d:\d\d +{pid} +{pid} cat +\d+(\.\d)?(ns|us|ms|s)`,
		ends: true, cause: func() { r.lines(4) },
	}
}

// setupLSM runs a program. A kernel that has no place for the plugin must be named
// as the reason, once, and the exit code is that for a missing feature.
func setupLSM(t *testing.T) row {
	if err := kernel.Trampolines(); err != nil {
		return refusedLSM(`lsm: .*program on_check: lsm: .*trampolines.*; needs .*`)
	}
	if err := kernel.BPFLSM(); err != nil {
		return refusedLSM(`lsm: .*attach.*`)
	}
	vars := map[string]string{"uid": strconv.Itoa(os.Getuid())}
	return row{vars: vars, cause: func() {
		sh, err := exec.LookPath("sh")
		if err != nil {
			t.Fatal(err)
		}
		vars["file"], vars["pid"] = sh, start(t, ":")
	}}
}

func refusedLSM(stderr ...string) row {
	return row{refused: true, ends: true, code: node.ExitUnsupported, stderr: stderr}
}

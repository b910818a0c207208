package examples_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// start runs a shell with a script to its end, which may well be a bad one, and
// returns its process number.
func start(t *testing.T, script string) string {
	t.Helper()
	c := exec.Command("sh", "-c", script)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	return strconv.Itoa(c.Process.Pid)
}

// setupExecsnoop starts processes that end with a status, by a signal with an
// escape sequence among its arguments, and with more arguments than are kept.
func setupExecsnoop(t *testing.T) row {
	vars := map[string]string{"ppid": strconv.Itoa(os.Getpid())}
	return row{vars: vars, cause: func() {
		vars["status_pid"] = start(t, "exit 3")
		vars["signal_pid"] = start(t, "kill -9 $$ # \x1b[31m")
		vars["long_pid"] = start(t, ": "+strings.Repeat("x", 300))
	}}
}

// setupExecsnoopCount asks for one line about a child of the test, by name.
func setupExecsnoopCount(t *testing.T) row {
	vars := map[string]string{}
	return row{
		args: []string{"--pid", strconv.Itoa(os.Getpid()), "--comm", "true", "--count", "1"},
		golden: `must TIME +KIND +PID +PPID +COMM +STATUS +DURATION +ARGS
			must \S+ exec +{pid} +\d+ true +- +-  true`,
		vars: vars, ends: true,
		cause: func() {
			start(t, ":")
			vars["pid"] = start(t, "exec true")
		},
	}
}

// setupExecvePerf starts a shell, and one that becomes another program.
func setupExecvePerf(t *testing.T) row {
	vars := map[string]string{"uid": strconv.Itoa(os.Getuid())}
	return row{vars: vars, cause: func() {
		vars["sh_pid"] = start(t, ":")
		vars["true_pid"] = start(t, "exec true")
	}}
}

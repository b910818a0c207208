package examples_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// usages are command lines that each plugin refuses, with 2 and this one line on
// standard error.
var usages = []struct {
	args   []string
	stderr string
}{
	{[]string{"execsnoop", "--foo"}, `unknown option --foo; see --help`},
	{[]string{"execsnoop", "-z"}, `unknown option -z; see --help`},
	{[]string{"execsnoop", "--pid", "x"}, `--pid: want a number from 1 to 2147483647, got "x"`},
	{[]string{"execsnoop", "--pid"}, `option --pid needs an argument; see --help`},
	{[]string{"execsnoop", "extra", "-p"}, `option --pid needs an argument; see --help`},
	{[]string{"execsnoop", "--help=yes"}, `option --help takes no argument; see --help`},
	{[]string{"execsnoop", "extra"}, `unexpected argument "extra"; see --help`},
	{[]string{"execsnoop", "--comm", "sixteen-letters!"},
		`--comm: a command name has at most 15 characters, got "sixteen-letters!"`},
	{[]string{"opensnoop", "--comm", "sixteen-letters!"},
		`--comm: a command name has at most 15 characters, got "sixteen-letters!"`},
	{[]string{"opensnoop", "--comm="}, `--comm: want a name, got ""`},
	{[]string{"opensnoop", "-n0"}, `--count: want a number from 1 to 4294967295, got "0"`},
	{[]string{"runqlat", "1", "2", "3"}, `unexpected argument "3"; see --help`},
	{[]string{"runqlat", "soon"}, `INTERVAL: want a number from 1 to 1000000, got "soon"`},
	{[]string{"execve-perf", "--pid", "1"}, `unknown option --pid; see --help`},
	{[]string{"execve-perf", "extra"}, `unexpected argument "extra"; see --help`},
	{[]string{"xdpcount"}, `the interface is missing; see --help`},
	{[]string{"xdpcount", ""}, `an argument is empty; see --help`},
	{[]string{"xdpcount", "--mode", "fast", "lo"}, `--mode: want one of native, generic, got "fast"`},
	{[]string{"tcpopt"}, `the cgroup is missing; see --help`},
	{[]string{"tcpopt", "--congestion", "sixteen-letters!", "."},
		`--congestion: a congestion control's name has at most 15 characters, got "sixteen-letters!"`},
	{[]string{"share", "write"}, `write NAME or read NAME is missing; see --help`},
	{[]string{"share", "watch", "x"}, `"watch" is neither write nor read; see --help`},
	{[]string{"uprobe"}, `FILE:FUNCTION is missing; see --help`},
	{[]string{"uprobe", "a"}, `FILE:FUNCTION: want a file, a colon and a function, got "a"`},
	{[]string{"uprobe", "a:b", "c:d"}, `unexpected argument "c:d"; see --help`},
	{[]string{"tcx", "a", "b"}, `unexpected argument "b"; see --help`},
	{[]string{"connect"}, `the cgroup is missing; see --help`},
	{[]string{"connect", "-r", "10.0.0.0/33", "."}, `--refuse: want a number from 0 to 32, got "33"`},
	{[]string{"connect", "-r", "here", "."}, `--refuse: want an address such as 10.0.0.0/8 or 2001:db8::1, got "here"`},
	{[]string{"portsteer", "80", "1"}, `FIRST-LAST, PID or FD is missing; see --help`},
	{[]string{"portsteer", "80-79", "1", "3"}, `LAST: want a number from 80 to 65535, got "79"`},
	{[]string{"tasks", "1"}, `unexpected argument "1"; see --help`},
	{[]string{"usdt", "file"}, `FILE or PROVIDER:NAME is missing; see --help`},
	{[]string{"profile", "-k", "-u"}, `--kernel and --user exclude each other; see --help`},
	{[]string{"userring"}, `a NAME is missing; see --help`},
	{[]string{"mapinmap", "--interval", "0"}, `--interval: want a number from 1 to 86400, got "0"`},
	{[]string{"filter", "lo"}, `the interface or the expression is missing; see --help`},
	{[]string{"filter", "--packet", "0", "ip"}, `--packet: want 14 to 2048 bytes in hex`},
	{[]string{"lsm", "--", "extra"}, `unexpected argument "extra"; see --help`},
}

func TestPluginsRefuseWrongCommandLines(t *testing.T) {
	for _, u := range usages {
		t.Run(strings.Join(u.args, " "), func(t *testing.T) {
			code, stdout, stderr := runToEnd(t, "", pluginFile(u.args[0]), u.args[1:]...)
			if want := u.args[0] + ": " + u.stderr + "\n"; code != node.ExitUsage || stdout != "" || stderr != want {
				t.Errorf("got code %d, standard output %q, standard error %q; want code %d and %q",
					code, stdout, stderr, node.ExitUsage, want)
			}
		})
	}
}

func TestPluginsShowTheirUsage(t *testing.T) {
	files, err := filepath.Glob("*/*.wasm")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plugins: %v", err)
	}
	for _, f := range files {
		if strings.HasPrefix(f, "testdata/") {
			continue
		}
		plugin := filepath.Dir(f)
		for _, option := range []string{"-h", "--help"} {
			t.Run(plugin+" "+option, func(t *testing.T) {
				code, stdout, stderr := runToEnd(t, "", f, option)
				if code != node.ExitOK || stderr != "" || !strings.HasPrefix(stdout, "Usage: "+plugin) {
					t.Errorf("got code %d, standard output %q, standard error %q; want the usage", code, stdout, stderr)
				}
			})
		}
	}
}

// pluginFile is the file of a plugin.
func pluginFile(plugin string) string { return filepath.Join(plugin, plugin+".wasm") }

// runToEnd runs a plugin that ends by itself, before it loads anything.
func runToEnd(t *testing.T, engine, file string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code, err := node.Run(t.Context(), node.RunOptions{
		Allow: policy.Everything(), File: file, Engine: engine, Args: args, CacheDir: cache, Timeout: patience, Stdout: &out, Stderr: &talk,
	})
	if err != nil {
		t.Error(err)
	}
	return code, out.String(), talk.String()
}

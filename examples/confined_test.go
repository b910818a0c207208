package examples_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// kept says which capabilities the process that runs a plugin keeps, by the plugin's own policy. Other kernels may need more.
var kept = map[string]kernel.CapSet{
	"execsnoop":   kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"opensnoop":   kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"runqlat":     kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"execve-perf": kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"lsm":         kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"tasks":       kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"userring":    kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"mapinmap":    kernel.Caps(kernel.CapBPF, kernel.CapPerfmon),
	"uprobe":      kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapSysPtrace, kernel.CapDACReadSearch),
	"usdt":        kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapSysPtrace, kernel.CapDACReadSearch),
	"profile":     kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapSysPtrace, kernel.CapDACReadSearch, kernel.CapSyslog),
	"xdpcount":    kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin),
	"tcx":         kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin),
	"filter":      kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin),
	"tcpopt":      kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin),
	"connect":     kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin),
	"portsteer":   kernel.Caps(kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin, kernel.CapSysPtrace),
}

// runChild is set in the process that runs a plugin for a test: it holds the options.
const runChild = "BOWLINE_EXAMPLES_RUN"

// childOptions are what a plugin is run with in a process of its own.
type childOptions struct {
	Plugin, File, Engine, Cache string
	Args                        []string
	Names                       map[string]string
}

// runAsChild runs one plugin in this process, which gives up what it does not need, and writes to descriptor 3 what it has left.
func runAsChild(options string) int {
	var o childOptions
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	file := filepath.Join(o.Plugin, "policy.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	box, err := policy.Parse(text, file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	code, err := node.Run(ctx, node.RunOptions{
		File: o.File, Args: o.Args, Engine: o.Engine, CacheDir: o.Cache, Names: o.Names, Policy: box, Confine: true,
		Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	left := os.NewFile(3, "report")
	threads, _ := filepath.Glob("/proc/self/task/*/status")
	for _, f := range threads {
		b, _ := os.ReadFile(f)
		for l := range strings.Lines(string(b)) {
			if strings.HasPrefix(l, "Cap") || strings.HasPrefix(l, "NoNewPrivs") {
				fmt.Fprint(left, l)
			}
		}
	}
	_, err = os.ReadFile(file)
	fmt.Fprintf(left, "Closed:\t%v\n", errors.Is(err, os.ErrPermission))
	return code
}

// confined is how a plugin runs as the command runs it: in a process that holds only what the plugin's policy takes.
func confined(t *testing.T, plugin string, want kernel.CapSet) runner {
	return func(ctx context.Context, o node.RunOptions) (int, error) {
		args := slices.Clone(o.Args)
		for i := range args { // what the test has open is elsewhere for the child
			args[i] = strings.Replace(args[i], "/proc/self/fd/", fmt.Sprintf("/proc/%d/fd/", os.Getpid()), 1)
		}
		options, err := json.Marshal(childOptions{plugin, o.File, o.Engine, o.CacheDir, args, o.Names})
		if err != nil {
			return 0, err
		}
		report, to, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		defer report.Close()
		c := exec.CommandContext(ctx, "/proc/self/exe")
		c.Env = append(os.Environ(), runChild+"="+string(options))
		c.Stdout, c.Stderr, c.ExtraFiles = o.Stdout, o.Stderr, []*os.File{to}
		c.Cancel = func() error { return c.Process.Signal(unix.SIGTERM) }
		err = c.Start()
		to.Close()
		if err != nil {
			return 0, err
		}
		text, err := io.ReadAll(report)
		if err != nil {
			t.Error(err)
		}
		var exit *exec.ExitError
		if err = c.Wait(); errors.As(err, &exit) || errors.Is(err, context.Canceled) {
			err = nil
		}
		checkLeft(t, string(text), want)
		return c.ProcessState.ExitCode(), err
	}
}

// checkLeft looks at what each thread of the process has left.
func checkLeft(t *testing.T, report string, want kernel.CapSet) {
	t.Helper()
	set := fmt.Sprintf("%016x", uint64(want))
	threads := map[string]int{}
	for l := range strings.Lines(report) {
		name, value, _ := strings.Cut(strings.TrimSpace(l), ":\t")
		threads[name]++
		ok := value == set
		switch name {
		case "CapInh", "CapAmb":
			ok = value == "0000000000000000"
		case "CapBnd":
			ok = true // means nothing with no_new_privs
		case "NoNewPrivs":
			ok = value == "1"
		case "Closed":
			looks := want&kernel.Caps(kernel.CapSysPtrace) != 0
			ok = value == fmt.Sprint(!looks) || confine.FilesABI() == 0
		}
		if !ok {
			t.Errorf("a thread has %s %s; want it to hold just %s", name, value, want)
		}
	}
	if threads["CapPrm"] < 2 || threads["Closed"] != 1 {
		t.Errorf("the process reports %d threads:\n%s", threads["CapPrm"], report)
	}
}

func TestPluginsRunWithTheCapabilitiesOfTheirPolicies(t *testing.T) {
	kerneltest.RequireRoot(t)
	if !kernel.Running().AtLeast(6, 6) {
		t.Skip("older kernels ask for more: CAP_SYS_ADMIN for uprobes before 6.6")
	}
	have, err := kernel.Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	// Kernels of Debian have a third level, at which perf events take CAP_SYS_ADMIN.
	paranoid, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	perf := err == nil && strings.TrimSpace(string(paranoid)) == "3"
	for _, p := range plugins {
		plugin, _, _ := strings.Cut(strings.Replace(p.name, ",", "", 1), " ")
		want, ok := kept[plugin]
		if perf && slices.Contains([]string{"opensnoop", "execve-perf", "userring", "mapinmap", "profile"}, plugin) {
			want |= kernel.Caps(kernel.CapSysAdmin)
		}
		if !ok {
			t.Errorf("%s is not in the table of capabilities", plugin)
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			for _, engine := range node.Engines() {
				t.Run(engine, func(t *testing.T) { runBy(t, confined(t, plugin, want&have), engine, plugin, p.setup(t)) })
			}
		})
	}
}

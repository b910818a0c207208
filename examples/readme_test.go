package examples_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// codeBlock is a block of C in the README, whose first line names its file.
var codeBlock = regexp.MustCompile("(?ms)^```c\n(/\\* (examples/mine/[a-z.]+): .*?)^```$")

// buildBlock is the block of commands that build and run it.
var buildBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestReadmePluginWorks follows the README: it writes the plugin that is there,
// beside a copy of what it needs, and builds and runs it as it says.
func TestReadmePluginWorks(t *testing.T) {
	if _, err := exec.LookPath("clang-14"); err != nil {
		t.Skip("there is no clang-14; .ci/setup guests installs it")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	headers, err := filepath.Glob("../wasi-ebpf/sdk/c/wasi_ebpf/*.h")
	if err != nil || len(headers) == 0 {
		t.Fatalf("no headers: %v", err)
	}
	files := []string{"guests.mk", "bpf/headers/vmlinux.h", "examples/plugin.h"}
	for _, h := range headers {
		files = append(files, strings.TrimPrefix(h, "../"))
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join("..", f))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, f), b)
	}
	files = nil
	for _, m := range codeBlock.FindAllSubmatch(readme, -1) {
		files = append(files, string(m[2]))
		write(t, filepath.Join(dir, string(m[2])), m[1])
	}
	if want := []string{"examples/mine/mine.h", "examples/mine/mine.bpf.c", "examples/mine/mine.c"}; !slices.Equal(files, want) {
		t.Fatalf("the README has the files %q, want %q", files, want)
	}
	file := filepath.Join(dir, build(t, dir, string(readme)))
	kerneltest.RequireRoot(t)
	onEveryEngine(t, "mine", func(t *testing.T) row {
		vars := map[string]string{}
		return row{
			file: file, vars: vars,
			golden: `must  +PID COMM
				must  +{pid} true
				may   +\d+ .*`,
			cause: func() { vars["pid"] = start(t, "exec true") },
		}
	})
}

// TestPluginOutsideOfTheRepository builds and runs the plugin of the repository's README with the commands that are there, beside the BPF
// program of the README here.
func TestPluginOutsideOfTheRepository(t *testing.T) {
	if _, err := exec.LookPath("clang-14"); err != nil {
		t.Skip("there is no clang-14; .ci/setup guests installs it")
	}
	kerneltest.RequireRoot(t)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rename := strings.NewReplacer("mine.h", "exec.h", "mine_event", "exec_event", "events", "rb")
	for _, m := range codeBlock.FindAllSubmatch(here, -1) {
		name := strings.Replace(filepath.Base(string(m[2])), "mine", "exec", 1)
		write(t, filepath.Join(dir, name), []byte(rename.Replace(string(m[1]))))
	}
	guest := regexp.MustCompile("(?ms)^```c\n(#include <stdio.h>\n.*?)^```$").FindSubmatch(readme)
	if guest == nil {
		t.Fatal("README.md has no plugin in C")
	}
	write(t, filepath.Join(dir, "exec.c"), guest[1])
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?m)^clang-14 .*$").FindAllString(string(readme), -1)
	if len(lines) != 2 {
		t.Fatalf("README.md compiles with %q", lines)
	}
	for _, line := range lines {
		c := exec.Command("sh", "-c", line)
		c.Dir, c.Env = dir, append(os.Environ(), "BOWLINE="+root)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr output
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = node.Run(ctx, node.RunOptions{
			File: filepath.Join(dir, "exec.wasm"), Allow: policy.Everything(), CacheDir: cache, Stdout: &stdout, Stderr: &stderr, Verbose: true,
		})
	}()
	stderr.await(t, ended, func(lines []string) string {
		return missing(lines, []pattern{{must, regexp.MustCompile("attach on_exec: done$")}})
	})
	pid := start(t, "exec true")
	for give := time.Now().Add(patience); !strings.Contains(stdout.String(), pid+" true\n"); {
		if time.Now().After(give) {
			t.Fatalf("no line %q in\n%s%s", pid+" true", stdout.String(), stderr.String())
		}
		start(t, "exec true") // what the plugin prints comes when its buffer is full
	}
	stop()
	<-ended
}

// build follows the commands of the README in a directory, without those that
// install tools and build bowline. It returns the file that the last one runs.
func build(t *testing.T, dir, readme string) string {
	t.Helper()
	block := buildBlock.FindStringSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no block of commands")
	}
	var file string
	for line := range strings.Lines(block[1]) {
		line = strings.TrimSpace(line)
		if run, ok := strings.CutPrefix(line, "sudo bin/bowline run "); ok {
			file = run[strings.LastIndex(run, " ")+1:]
		}
		if !strings.HasPrefix(line, "make -f ") {
			continue
		}
		c := exec.Command("sh", "-c", line)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	if file == "" {
		t.Fatalf("no command runs the plugin:\n%s", block[1])
	}
	return file
}

// write writes a file, in a directory that it makes.
func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
)

// command makes a program that does nothing, under a name that no other process of this machine has, and answers its file.
func command(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// runFile runs a program to its end and answers its process number.
func runFile(t *testing.T, file string) string {
	t.Helper()
	c := exec.Command(file)
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(c.Process.Pid)
}

// setupUserRing starts both commands that the plugin waits for, after which it ends.
func setupUserRing(t *testing.T) row {
	one, two := command(t, "user-ring-1"), command(t, "user-ring-2")
	vars := map[string]string{"one": "user-ring-1", "two": "user-ring-2"}
	return row{args: []string{"--once", "user-ring-1", "user-ring-2"}, vars: vars, ends: true, cause: func() {
		vars["one_pid"], vars["two_pid"] = runFile(t, one), runFile(t, two)
	}}
}

// TestUserRingForgetsWhatWasSeen starts a command again after its line is there: the order to forget it came before that line, so the
// program in the kernel reports it no more.
func TestUserRingForgetsWhatWasSeen(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, engine := range node.Engines() {
		t.Run(engine, func(t *testing.T) {
			one, two := command(t, "user-ring-3"), command(t, "user-ring-4")
			p := startPlugin(t, engine, "userring", "--once", "user-ring-3", "user-ring-4")
			p.await(t, "COMM")
			runFile(t, one)
			p.await(t, "user-ring-3")
			runFile(t, one)
			runFile(t, two)
			if code := p.wait(t); code != node.ExitOK {
				t.Errorf("the plugin ended with %d: %s", code, p.err.String())
			}
			if n := strings.Count(p.out.String(), "user-ring-3"); n != 1 {
				t.Errorf("got %d lines about the first command, want 1:\n%s", n, p.out.String())
			}
		})
	}
}

// setupMapInMap starts a command.
func setupMapInMap(t *testing.T) row {
	file := command(t, "map-in-map-1")
	return row{vars: map[string]string{"name": "map-in-map-1"}, cause: func() { runFile(t, file) }}
}

// TestMapInMapLosesNothing starts a command all the time while the plugin swaps its tables, until there were three of them: the tables
// together have each start once.
func TestMapInMapLosesNothing(t *testing.T) {
	kerneltest.RequireRoot(t)
	file := command(t, "map-in-map-2")
	p := startPlugin(t, node.Engines()[0], "mapinmap")
	p.await(t, "COMM")
	started := 0
	for tables := 0; tables < 3; tables = strings.Count(p.out.String(), "in all") {
		runFile(t, file)
		started++
	}
	p.end(t)
	counted := 0
	for _, line := range p.out.lines() {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "map-in-map-2" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			counted += n
		}
	}
	if counted != started {
		t.Errorf("the tables have %d starts, want %d:\n%s", counted, started, p.out.String())
	}
}

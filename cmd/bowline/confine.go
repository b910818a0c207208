package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/node"
)

// confineFlags say how much power the process that runs a plugin keeps.
func confineFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "privileges", Value: "needed", Usage: "which privileges the process keeps while the plugin runs, `WHICH`: needed, what its " +
			"grants take; needed,CAP_NAME, that capability too; keep, all, and all files"},
		&cli.BoolFlag{Name: "isolate", Usage: "run the plugin in a process of its own, which is killed if it does not end in time"},
	}
}

// confineOptions reads confineFlags.
func confineOptions(c *cli.Context, o *node.RunOptions) error {
	which := c.String("privileges")
	if which == "keep" {
		return nil
	}
	o.Confine = true
	words := strings.Split(which, ",")
	for _, name := range words[1:] {
		if _, ok := kernel.ParseCap(name); !ok {
			return usagef("run: --privileges: there is no capability %q; write a name such as CAP_SYS_ADMIN", name)
		}
		o.KeepCapabilities = append(o.KeepCapabilities, name)
	}
	if words[0] != "needed" {
		return usagef("run: --privileges %q is neither needed nor keep; needed,CAP_SYS_ADMIN keeps a capability more", which)
	}
	return nil
}

// isolationGrace is how long an isolated plugin may take to end. What can be stopped from inside takes less.
const isolationGrace = 900 * time.Millisecond

// isolate runs the command once more in a process of its own, and ends as that one does.
func (a *app) isolate(o node.RunOptions) error {
	var most kernel.CapSet
	if o.Confine {
		most = node.MostCapabilities()
		for _, name := range o.KeepCapabilities {
			c, _ := kernel.ParseCap(name) // it was looked at with the options
			most |= kernel.Caps(c)
		}
	}
	how, err := confine.Supervise(confine.Command{
		Most: most,
		Args: os.Args[1:], Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr, Timeout: node.EndsAfter(o), Grace: isolationGrace,
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", o.File, err)
	}
	switch {
	case how.Told && how.Signal != 0:
		return exitCode(node.ExitInterrupted)
	case how.Late && how.Signal != 0:
		a.complain(fmt.Errorf("run %s: the plugin did not come back in time, and its process was killed", o.File))
		if how.TimedOut {
			return exitCode(node.ExitTimeout)
		}
		return exitCode(node.ExitInterrupted)
	case how.Signal != 0:
		why := ""
		if how.OutOfMemory {
			why = ", because it took more memory than it may have"
		}
		a.complain(fmt.Errorf("run %s: the process of the plugin was killed by %s%s", o.File, unix.SignalName(how.Signal), why))
		return exitCode(signalled + int(how.Signal))
	case how.Code != node.ExitOK:
		return exitCode(how.Code)
	}
	return nil
}

// signalled and the number of a signal are the exit code when that killed the process of an isolated plugin, as shells have it.
const signalled = 128

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/node"
)

const appName = "bowline"

// app is one run of the command: its streams and what the subcommands share.
type app struct {
	stdin          *os.File
	stdout, stderr *os.File
	isolated       bool // by "run --isolate": another process waits for this one
}

// commands lists the subcommands in the order of the help text.
func (a *app) commands() []*cli.Command {
	return []*cli.Command{
		a.runCommand(), a.inspectCommand(), a.policyCommand(), a.manifestCommand(), a.probeCommand(), a.versionCommand(), a.completionCommand(), a.manCommand(),
	}
}

// tree is the whole command for the parser of the options, and for the texts made from it.
func (a *app) tree() *cli.App {
	t := &cli.App{
		Name:                      appName,
		HelpName:                  appName,
		Usage:                     "run WebAssembly plugins that load BPF programs",
		Commands:                  a.commands(),
		HideHelp:                  true,
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Reader:                    a.stdin,
		Writer:                    a.stdout,
		ErrWriter:                 a.stderr,
		ExitErrHandler:            func(*cli.Context, error) {}, // run ends the process
	}
	for _, c := range t.Commands {
		c.HideHelp, c.HideHelpCommand = true, true
		c.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
			return usagef("%s: %v; see %s help %[1]s", c.Name, err, appName)
		}
	}
	return t
}

// run does what the arguments say and answers the exit code.
func (a *app) run(args []string) int {
	err := a.dispatch(args)
	var code exitCode
	switch {
	case err == nil:
		return node.ExitOK
	case errors.As(err, &code):
		return int(code)
	}
	a.complain(err)
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return node.ExitUsage
	case errors.Is(err, fs.ErrPermission):
		return node.ExitDenied
	}
	return node.ExitFailure
}

// complain writes an error as one line.
func (a *app) complain(err error) {
	fmt.Fprintf(a.stderr, "%s: %s\n", appName, node.Printable(strings.TrimSpace(err.Error())))
}

func (a *app) dispatch(args []string) error {
	if len(args) == 0 {
		return a.write(a.shortHelp())
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "--help", "-help":
		return a.help(args)
	case "--version", "-version", "-V":
		name = "version"
	}
	t := a.tree()
	cmd := t.Command(name)
	if cmd == nil {
		return unknownCommand(t, name)
	}
	args, wantsHelp, err := arrange(cmd, args)
	if err != nil {
		return err
	}
	if wantsHelp {
		return a.write(a.commandHelp(cmd))
	}
	return t.RunContext(context.Background(), append([]string{appName, name}, args...))
}

// exitCode ends the process with a code and without a word.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// usageError is a wrong command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// write puts text on standard output. A reader that has gone away, as in "| head", is no error.
func (a *app) write(b []byte) error {
	_, err := io.Copy(a.stdout, bytes.NewReader(b))
	if err != nil && !errors.Is(err, unix.EPIPE) {
		return outputError(err)
	}
	return nil
}

// outputError says that standard output does not take what is written.
func outputError(err error) error {
	return fmt.Errorf("write to standard output: %w", withoutPath(err))
}

// outputFlag chooses between a text for people and JSON.
func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "text", Usage: "`FORMAT` of the output: text or json"}
}

// wantsJSON reads outputFlag.
func wantsJSON(c *cli.Context) (bool, error) {
	switch o := c.String("output"); o {
	case "text":
		return false, nil
	case "json":
		return true, nil
	default:
		return false, usagef("%s: unknown output format %q; use -o text or -o json", c.Command.Name, o)
	}
}

// noArguments refuses what a command has no use for.
func noArguments(c *cli.Context) error {
	if c.Args().Len() > 0 {
		return usagef("%s: unexpected argument %q; see %s help %s", c.Command.Name, c.Args().First(), appName, c.Command.Name)
	}
	return nil
}

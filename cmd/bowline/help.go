package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/node"
)

// exitStatus documents the exit codes, for the help text and the man page.
var exitStatus = []struct{ code, meaning string }{
	{strconv.Itoa(node.ExitOK), "success"},
	{strconv.Itoa(node.ExitFailure), "failure, such as a damaged module, a program that the verifier rejects, or a trap"},
	{strconv.Itoa(node.ExitUsage), "wrong command line"},
	{strconv.Itoa(node.ExitDenied), "denied by the policy, or a privilege is missing"},
	{strconv.Itoa(node.ExitLimit), "a limit stopped the plugin, or refused it something that it could not go on without"},
	{strconv.Itoa(node.ExitUnsupported), "this kernel lacks a feature that is needed"},
	{strconv.Itoa(node.ExitTimeout), "the time of --timeout, or of the limit wall-time, was up"},
	{strconv.Itoa(node.ExitInterrupted), "interrupted by SIGINT or SIGTERM"},
	{"other", "the plugin's own exit code"},
}

// environmentVariables documents what the command reads from its environment.
var environmentVariables = []struct{ name, meaning string }{
	{"NO_COLOR", "if set to anything, no colour is written"},
	{"XDG_CACHE_HOME", "where the directory bowline for compiled modules is made; else ~/.cache"},
}

// help answers "bowline help" and "bowline help COMMAND".
func (a *app) help(args []string) error {
	if len(args) == 0 {
		return a.write(a.longHelp())
	}
	t := a.tree()
	cmd := t.Command(args[0])
	switch args[0] {
	case "help", "-h", "--help", "-help":
		cmd = helpCommand()
	}
	if cmd == nil {
		return unknownCommand(t, args[0])
	}
	return a.write(a.commandHelp(cmd))
}

// helpCommand explains help itself. It is no part of the tree, because the parser has a help of its own.
func helpCommand() *cli.Command {
	return &cli.Command{
		Name:        "help",
		Usage:       "explain a command",
		ArgsUsage:   "[COMMAND]",
		Description: "Explains a command with its options; without one, lists the commands, exit codes and environment variables.",
		UsageText:   "help\nhelp run",
	}
}

// shortHelp is what the command says when it is called with nothing.
func (a *app) shortHelp() []byte {
	var b bytes.Buffer
	a.writeCommands(&b)
	fmt.Fprintf(&b, "\nStart with \"%s inspect FILE.wasm\" and \"%[1]s run --allow GRANT FILE.wasm\"; \"%[1]s help COMMAND\" explains a command, \"%[1]s help\" says more.\n", appName)
	return b.Bytes()
}

func (a *app) longHelp() []byte {
	var b bytes.Buffer
	s := styleFor(a.stdout)
	a.writeCommands(&b)
	fmt.Fprintf(&b, "\n%s\n", s.bold("Examples"))
	for _, c := range a.tree().Commands {
		first, _, _ := strings.Cut(c.UsageText, "\n")
		fmt.Fprintf(&b, "  %s %s\n", appName, first)
	}
	fmt.Fprintf(&b, "\n%s\n", s.bold("Exit codes"))
	for _, e := range exitStatus {
		fmt.Fprintf(&b, "  %-6s %s\n", e.code, e.meaning)
	}
	fmt.Fprintf(&b, "\n%s\n", s.bold("Environment"))
	for _, e := range environmentVariables {
		fmt.Fprintf(&b, "  %-15s %s\n", e.name, e.meaning)
	}
	fmt.Fprintf(&b, "\n\"%s help COMMAND\" explains a command; \"%[1]s man\" prints the manual page.\n", appName)
	return b.Bytes()
}

func (a *app) writeCommands(w io.Writer) {
	t, s := a.tree(), styleFor(a.stdout)
	fmt.Fprintf(w, "%s - %s\n\n%s %s COMMAND [OPTIONS] ...\n\n%s\n", appName, t.Usage, s.bold("Usage:"), appName, s.bold("Commands"))
	for _, c := range t.Commands {
		fmt.Fprintf(w, "  %-11s %s\n", c.Name, c.Usage)
	}
	fmt.Fprintf(w, "  %-11s %s\n", "help", helpCommand().Usage)
}

func (a *app) commandHelp(c *cli.Command) []byte {
	var b bytes.Buffer
	s := styleFor(a.stdout)
	columns := min(width(a.stdout), 100)
	fmt.Fprintf(&b, "%s %s - %s\n\n", appName, c.Name, c.Usage)
	fmt.Fprintf(&b, "%s %s\n\n", s.bold("Usage:"), strings.TrimSpace(appName+" "+c.Name+" "+c.ArgsUsage))
	for paragraph := range strings.SplitSeq(c.Description, "\n") {
		fmt.Fprintf(&b, "%s\n", wrap(paragraph, "", columns))
	}
	if len(c.Flags) > 0 {
		fmt.Fprintf(&b, "\n%s\n", s.bold("Options"))
	}
	for _, f := range c.Flags {
		head, usage := describeFlag(f)
		fmt.Fprintf(&b, "  %-28s%s\n", head, strings.TrimSpace(wrap(usage, strings.Repeat(" ", 30), columns)))
	}
	fmt.Fprintf(&b, "\n%s\n", s.bold("Examples"))
	for example := range strings.Lines(c.UsageText) {
		fmt.Fprintf(&b, "  %s %s\n", appName, strings.TrimSpace(example))
	}
	return b.Bytes()
}

// describeFlag gives an option as it is typed, with the name of its value out of the back quotes, and what it does.
func describeFlag(f cli.Flag) (head, usage string) {
	var names []string
	for _, n := range f.Names() {
		names = append(names, dashed(n))
	}
	head = strings.Join(names, ", ")
	usage = f.(cli.DocGenerationFlag).GetUsage()
	if before, rest, ok := strings.Cut(usage, "`"); ok {
		value, after, _ := strings.Cut(rest, "`")
		head, usage = head+" "+value, before+value+after
	}
	return head, usage
}

// wrap breaks text into lines of at most so many columns, each behind indent.
func wrap(text, indent string, columns int) string {
	var b strings.Builder
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > columns && line != indent {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line
}

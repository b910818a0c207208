package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func (a *app) manCommand() *cli.Command {
	return &cli.Command{
		Name:        "man",
		Usage:       "print the manual page",
		Description: "Prints the manual page in roff, made from the same text as the help.",
		UsageText:   "man | man -l -\nman > /usr/local/share/man/man1/bowline.1",
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return a.write(manPage(a.tree()))
		},
	}
}

// manPage writes the whole command tree in the macros of man(7).
func manPage(t *cli.App) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s\" \"User Commands\"\n", strings.ToUpper(t.Name), t.Name)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n.I COMMAND\n[\\fIOPTIONS\\fR] ...\n", t.Name, roff(t.Usage), t.Name)
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(t.Name+" runs WebAssembly plugins that load their own BPF programs into the Linux kernel, "+
		"attach them and read their events. A plugin built for wasm-bpf runs unchanged."))
	b.WriteString(".SH COMMANDS\n")
	for _, c := range t.Commands {
		manCommand(&b, t.Name, c)
	}
	manTable(&b, "EXIT STATUS", len(exitStatus), func(i int) (string, string) { return exitStatus[i].code, exitStatus[i].meaning })
	manTable(&b, "ENVIRONMENT", len(environmentVariables), func(i int) (string, string) {
		return environmentVariables[i].name, environmentVariables[i].meaning
	})
	b.WriteString(".SH EXAMPLES\n.nf\n")
	for _, c := range t.Commands {
		for example := range strings.Lines(c.UsageText) {
			fmt.Fprintf(&b, "%s %s\n", t.Name, roff(strings.TrimSpace(example)))
		}
	}
	b.WriteString(".fi\n.SH SEE ALSO\n.BR bpf (2),\n.BR capabilities (7),\n.BR bpftool (8)\n")
	return b.Bytes()
}

func manCommand(w io.Writer, name string, c *cli.Command) {
	fmt.Fprintf(w, ".SS %s\n", roff(strings.TrimSpace(name+" "+c.Name+" "+c.ArgsUsage)))
	for i, paragraph := range strings.Split(c.Description, "\n") {
		if i > 0 {
			fmt.Fprintln(w, ".PP")
		}
		fmt.Fprintln(w, roff(paragraph))
	}
	for _, f := range c.Flags {
		head, usage := describeFlag(f)
		fmt.Fprintf(w, ".TP\n\\fB%s\\fR\n%s\n", roff(head), roff(usage))
	}
}

func manTable(w io.Writer, title string, n int, row func(int) (string, string)) {
	fmt.Fprintf(w, ".SH %s\n", title)
	for i := range n {
		name, meaning := row(i)
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(name), roff(meaning))
	}
}

// roff escapes text: backslashes, hyphens that people copy, and a dot or a quote that starts a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

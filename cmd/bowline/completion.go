package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/node"
)

// shells have a completion script each.
var shells = []string{"bash", "zsh", "fish"}

func (a *app) completionCommand() *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print the completion script of a shell",
		ArgsUsage:   "bash|zsh|fish",
		Description: "Prints a script that completes commands, options, their values and .wasm files.",
		UsageText: "completion bash > /etc/bash_completion.d/bowline\n" +
			"completion zsh > \"${fpath[1]}/_bowline\"\n" +
			"completion fish > ~/.config/fish/completions/bowline.fish",
		Action: a.completionAction,
	}
}

func (a *app) completionAction(c *cli.Context) error {
	if c.Args().Len() != 1 || !slices.Contains(shells, c.Args().First()) {
		return usagef("completion: name one shell: %s", strings.Join(shells, ", "))
	}
	t := a.tree()
	switch c.Args().First() {
	case "bash":
		return a.write(bashCompletion(t))
	case "zsh":
		return a.write(zshCompletion(t))
	}
	return a.write(fishCompletion(t))
}

// flagValues lists what may follow an option; a single "<dir>" stands for directories, nil for anything.
func flagValues(f cli.Flag) []string {
	switch f.Names()[0] {
	case "output":
		return []string{"text", "json"}
	case "engine":
		return node.Engines()
	case "dir", "cache":
		return []string{"<dir>"}
	}
	return nil
}

// wordsFor lists what may follow a command besides options; "<wasm>", which is the last, stands for .wasm files.
func wordsFor(t *cli.App, name string) []string {
	switch name {
	case "run", "inspect":
		return []string{"<wasm>"}
	case "policy":
		return []string{"suggest", "check", "explain", "<wasm>"}
	case "manifest":
		return []string{"add", "show", "check", "<wasm>"}
	case "completion":
		return shells
	case "help":
		return commandNames(t)
	}
	return nil
}

func commandNames(t *cli.App) []string {
	var names []string
	for _, c := range t.Commands {
		names = append(names, c.Name)
	}
	return names
}

func takesValue(f cli.Flag) bool { return f.(cli.DocGenerationFlag).TakesValue() }

func dashedNames(f cli.Flag) []string {
	var names []string
	for _, n := range f.Names() {
		names = append(names, dashed(n))
	}
	return names
}

func bashCompletion(t *cli.App) []byte {
	var b bytes.Buffer
	b.WriteString(`# bash completion for bowline
_bowline() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -- ]] && { compopt -o default; return; }
	done
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "` + strings.Join(append(commandNames(t), "help"), " ") + `" -- "$cur"))
		return
	fi
	case ${COMP_WORDS[1]} in
`)
	for _, c := range append(slices.Clone(t.Commands), &cli.Command{Name: "help"}) {
		fmt.Fprintf(&b, "\t%s)\n\t\tcase $prev in\n", c.Name)
		var options []string
		for _, f := range c.Flags {
			options = append(options, dashedNames(f)...)
			if takesValue(f) {
				fmt.Fprintf(&b, "\t\t%s) %s; return ;;\n", strings.Join(dashedNames(f), "|"), bashReply(flagValues(f)))
			}
		}
		fmt.Fprintf(&b, "\t\tesac\n\t\tif [[ $cur == -* ]]; then\n\t\t\t%s\n\t\telse\n\t\t\t%s\n\t\tfi ;;\n",
			bashReply(append(options, "--help")), bashReply(wordsFor(t, c.Name)))
	}
	b.WriteString("\tesac\n}\ncomplete -F _bowline bowline\n")
	return b.Bytes()
}

// withoutFiles are the words that are no place of files.
func withoutFiles(words []string) (list []string, wasm bool) {
	if n := len(words); n > 0 && words[n-1] == "<wasm>" {
		return words[:n-1], true
	}
	return words, false
}

func bashReply(words []string) string {
	list, wasm := withoutFiles(words)
	switch {
	case words == nil:
		return ":"
	case words[0] == "<dir>":
		return `compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur"))`
	case wasm:
		files := `$(compgen -d -- "$cur") $(compgen -f -X '!*.wasm' -- "$cur")`
		if len(list) > 0 {
			files = `$(compgen -W "` + strings.Join(list, " ") + `" -- "$cur") ` + files
		}
		return `compopt -o filenames; COMPREPLY=(` + files + `)`
	}
	return `COMPREPLY=($(compgen -W "` + strings.Join(words, " ") + `" -- "$cur"))`
}

func zshCompletion(t *cli.App) []byte {
	var b bytes.Buffer
	b.WriteString("#compdef bowline\n_bowline() {\n\tlocal -a commands\n\tcommands=(\n")
	for _, c := range t.Commands {
		fmt.Fprintf(&b, "\t\t'%s:%s'\n", c.Name, zshText(c.Usage))
	}
	b.WriteString("\t\t'help:explain a command'\n\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n")
	b.WriteString("\tlocal command=$words[2]\n\tshift words\n\t((CURRENT--))\n\tcase $command in\n")
	for _, c := range append(slices.Clone(t.Commands), &cli.Command{Name: "help"}) {
		fmt.Fprintf(&b, "\t%s)\n\t\t_arguments \\\n", c.Name)
		for _, f := range c.Flags {
			_, usage := describeFlag(f)
			for _, name := range dashedNames(f) {
				repeat := ""
				if _, many := f.(*cli.StringSliceFlag); many {
					repeat = "*"
				}
				value := ""
				if takesValue(f) {
					value = ":" + f.Names()[0] + ":" + zshAction(flagValues(f))
				}
				fmt.Fprintf(&b, "\t\t\t'%s%s[%s]%s' \\\n", repeat, name, zshText(usage), value)
			}
		}
		fmt.Fprintf(&b, "\t\t\t'--help[explain this command]' \\\n\t\t\t'1:argument:%s' \\\n\t\t\t'*::plugin:_default' ;;\n", zshAction(wordsFor(t, c.Name)))
	}
	b.WriteString("\tesac\n}\nif [ \"$funcstack[1]\" = _bowline ]; then _bowline \"$@\"; else compdef _bowline bowline; fi\n")
	return b.Bytes()
}

func zshAction(words []string) string {
	list, wasm := withoutFiles(words)
	switch {
	case words == nil:
		return " "
	case words[0] == "<dir>":
		return "_directories"
	case wasm && len(list) == 0:
		return `_files -g "*.wasm"`
	}
	return "(" + strings.Join(list, " ") + ")" // files of a command with words of its own follow these
}

// zshText takes out what _arguments reads as its own syntax.
func zshText(s string) string {
	return strings.NewReplacer("'", "", "[", "(", "]", ")", ":", ",").Replace(s)
}

func fishCompletion(t *cli.App) []byte {
	var b bytes.Buffer
	b.WriteString("# fish completion for bowline\ncomplete -c bowline -f\n")
	for _, c := range append(slices.Clone(t.Commands), &cli.Command{Name: "help", Usage: "explain a command"}) {
		fmt.Fprintf(&b, "complete -c bowline -n __fish_use_subcommand -a %s -d '%s'\n", c.Name, fishText(c.Usage))
		when := "-n '__fish_seen_subcommand_from " + c.Name + "'"
		for _, f := range c.Flags {
			_, usage := describeFlag(f)
			line := "complete -c bowline " + when
			for _, n := range f.Names() {
				if len(n) == 1 {
					line += " -s " + n
				} else {
					line += " -l " + n
				}
			}
			if takesValue(f) {
				line += " -r" + fishWords(flagValues(f))
			}
			fmt.Fprintf(&b, "%s -d '%s'\n", line, fishText(usage))
		}
		if words := fishWords(wordsFor(t, c.Name)); words != "" {
			fmt.Fprintf(&b, "complete -c bowline %s%s\n", when, words)
		}
	}
	return b.Bytes()
}

func fishWords(words []string) string {
	list, wasm := withoutFiles(words)
	switch {
	case words == nil:
		return ""
	case words[0] == "<dir>":
		return " -a '(__fish_complete_directories)'"
	case wasm:
		return " -k -a '" + strings.Join(append(slices.Clone(list), "(__fish_complete_suffix .wasm)"), " ") + "'"
	}
	return " -a '" + strings.Join(list, " ") + "'"
}

func fishText(s string) string { return strings.ReplaceAll(s, "'", "") }

package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arrange brings a command's arguments into the order that the parser wants: options, "--", file names, "--", and what
// belongs to the plugin. What follows the first "--" of the user is not looked at.
func arrange(cmd *cli.Command, args []string) (arranged []string, wantsHelp bool, err error) {
	var options, words, rest []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			rest = append([]string{"--"}, args...)
			args = nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			words = append(words, arg)
		case arg == "-h" || arg == "--help" || arg == "-help":
			return nil, true, nil
		default:
			name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			f := findFlag(cmd, name)
			if f == nil {
				return nil, false, unknownOption(cmd, arg)
			}
			options = append(options, arg)
			if _, isBool := f.(*cli.BoolFlag); isBool || hasValue {
				continue
			}
			if len(args) == 0 || args[0] == "--" {
				return nil, false, usagef("%s: option %s needs a value; see %s help %s", cmd.Name, arg, appName, cmd.Name)
			}
			options = append(options, args[0])
			args = args[1:]
		}
	}
	arranged = append(options, "--")
	return append(append(arranged, words...), rest...), false, nil
}

func findFlag(cmd *cli.Command, name string) cli.Flag {
	i := slices.IndexFunc(cmd.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	if i < 0 {
		return nil
	}
	return cmd.Flags[i]
}

// dashed writes an option as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func unknownOption(cmd *cli.Command, arg string) error {
	var names []string
	for _, f := range cmd.Flags {
		for _, n := range f.Names() {
			names = append(names, dashed(n))
		}
	}
	arg, _, _ = strings.Cut(arg, "=")
	if best := closest(arg, names); best != "" {
		return usagef("%s: unknown option %s; did you mean %s?", cmd.Name, arg, best)
	}
	return usagef("%s: unknown option %s; see %s help %s (the plugin's own arguments follow \"--\")", cmd.Name, arg, appName, cmd.Name)
}

func unknownCommand(t *cli.App, name string) error {
	if strings.HasPrefix(name, "-") {
		return usagef("unknown option %s; options follow the command, see %s help", name, appName)
	}
	names := []string{"help"}
	for _, c := range t.Commands {
		names = append(names, c.Name)
	}
	if strings.HasSuffix(name, ".wasm") {
		return usagef("unknown command %q; did you mean %s run %s?", name, appName, name)
	}
	if best := closest(name, names); best != "" {
		return usagef("unknown command %q; did you mean %s %s?", name, appName, best)
	}
	return usagef("unknown command %q; see %s help", name, appName)
}

// closest is the word among words that a typing error may have meant, empty if none is near.
func closest(word string, words []string) string {
	best, limit := "", max(1, len(strings.TrimLeft(word, "-"))/2)
	for _, w := range words {
		d := distance(word, w)
		if strings.HasPrefix(w, word) && len(word) > 2 {
			d = min(d, 1)
		}
		if d <= limit {
			best, limit = w, d-1
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, changed or swapped with a neighbour to get from a to b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
)

func (a *app) policyCommand() *cli.Command {
	return &cli.Command{
		Name:      "policy",
		Usage:     "say what a plugin needs, what it would be denied, and why",
		ArgsUsage: "suggest|check|explain [OPTIONS] FILE.wasm [-- ARGUMENTS]",
		Description: "suggest writes the smallest policy that the plugin needs, from what is inside; with --trace from a real run, in which it may do " +
			"everything: stop it when it has done its work. check says what the policy would deny it, and exits with 3 if there is something. " +
			"explain says for each thing that it does which line decides.\n" +
			"What a plugin attaches to is often said on its command line only: suggest then grants the hook everywhere, unless it is run with --trace.",
		UsageText: "policy suggest execsnoop.wasm > policy.yaml\n" +
			"policy suggest --trace --timeout 5s xdpcount.wasm -- eth1\n" +
			"policy check --policy policy.yaml execsnoop.wasm\n" +
			"policy explain --allow tracing execsnoop.wasm",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "policy", Usage: "take the policy of this box from `FILE`; " + defaultPolicy + " unless given, if it is there"},
			&cli.StringSliceFlag{Name: "allow", Usage: "add `GRANT`; repeatable"},
			&cli.BoolFlag{Name: "trace", Usage: "suggest from a run of the plugin, in which it may do everything"},
			&cli.StringFlag{Name: "timeout", Usage: "with --trace: stop the plugin after `DURATION`"},
			&cli.StringSliceFlag{Name: "name", Usage: "with --trace: let the plugin use a local name, `LOCAL=REAL`; repeatable"},
		},
		Action: a.policyAction,
	}
}

func (a *app) policyAction(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) == 0 {
		return usagef("policy: say what to do: suggest, check or explain")
	}
	what, args := args[0], args[1:]
	var rest []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, rest = args[:i], args[i+1:]
	}
	switch {
	case !slices.Contains([]string{"suggest", "check", "explain"}, what):
		return usagef("policy: %q is neither suggest, check nor explain", what)
	case len(args) != 1:
		return usagef("policy %s: name one .wasm file", what)
	case c.Bool("trace") && what != "suggest":
		return usagef("policy %s: --trace is for suggest", what)
	}
	if what == "suggest" && c.Bool("trace") {
		return a.policyTrace(c, args[0], rest)
	}
	wasm, contents, err := contentsOf(args[0])
	if err != nil {
		return fmt.Errorf("policy %s %s: %w", what, args[0], err)
	}
	if what == "suggest" {
		return a.writePolicy(args[0], contents.Needs())
	}
	box, err := boxPolicy(c.String("policy"))
	if err != nil {
		return err
	}
	added, err := policy.Lines("--allow", c.StringSlice("allow")...)
	if err != nil {
		return usagef("policy: %v", err)
	}
	rights, err := node.Rights(pluginName(args[0]), wasm, box, added)
	if err != nil {
		return fmt.Errorf("policy %s %s: %w", what, args[0], err)
	}
	return a.judge(rights, contents.Actions, what == "explain")
}

// judge says what the rights allow of the actions: all of them, or only what is denied.
func (a *app) judge(rights *policy.Rights, actions []policy.Action, all bool) error {
	var b bytes.Buffer
	seen := map[string]bool{}
	denied := false
	for _, action := range actions {
		d := rights.Explain(action)
		denied = denied || !d.Allowed
		if (all || !d.Allowed) && !seen[d.Text] {
			seen[d.Text] = true
			fmt.Fprintln(&b, node.Printable(d.Text))
		}
	}
	if all {
		for _, limit := range rights.Limits().Text() {
			fmt.Fprintf(&b, "limit %s: %s\n", limit[0], limit[1])
		}
	}
	if err := a.write(b.Bytes()); err != nil {
		return err
	}
	if denied {
		return exitCode(node.ExitDenied)
	}
	return nil
}

// pluginName is what policies call a plugin: its file's name.
func pluginName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".wasm") }

// contentsOf reads a module and looks what it will ask for.
func contentsOf(name string) (wasm []byte, c policy.Contents, err error) {
	if wasm, err = os.ReadFile(name); err != nil {
		return nil, c, withoutPath(err)
	}
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, c, err
	}
	return wasm, lookInto(f), nil
}

// lookInto lists what a module will ask for.
func lookInto(f *wasmfile.File) policy.Contents {
	var imports []engine.Import
	for _, i := range f.Imports {
		if i.Kind == wasmfile.KindFunc {
			imports = append(imports, engine.Import{Module: i.Module, Name: i.Name, Type: i.Type})
		}
	}
	var objects []*bpf.Spec
	unread := false
	for _, e := range embeddedObjects(f) {
		spec, err := (*bpf.Spec)(nil), e.err
		if err == nil {
			spec, err = bpf.Open(bytes.NewReader(e.elf))
		}
		if err != nil { // it cannot be loaded either, as it is
			unread = true
			continue
		}
		objects = append(objects, spec)
	}
	return node.Contents(imports, objects, unread)
}

// policyTrace runs the plugin and suggests from what it did.
func (a *app) policyTrace(c *cli.Context, file string, args []string) error {
	var actions []policy.Action
	opts := node.RunOptions{
		File: file, Args: args, Stdin: a.stdin, Stdout: a.stderr, Stderr: a.stderr,
		Watch: func(action policy.Action, _ error) { actions = append(actions, action) },
	}
	var err error
	if opts.Allow, err = policy.Lines("--trace", "all"); err != nil {
		return err
	}
	if opts.Names, err = localNames(c.StringSlice("name")); err != nil {
		return err
	}
	if opts.Timeout, err = duration(c, "timeout"); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(c.Context)
	defer cancel(nil)
	defer onSignal(cancel)()
	code, err := node.Run(ctx, opts)
	if err != nil {
		return fmt.Errorf("policy suggest %s: %w", file, err)
	}
	if code != node.ExitOK && code != node.ExitInterrupted && code != node.ExitTimeout {
		a.complain(errors.New("the plugin ended with exit code " + fmt.Sprint(code) + ": what is suggested is for what it did until then"))
	}
	return a.writePolicy(file, policy.Suggest(actions))
}

// writePolicy writes a policy of some grants.
func (a *app) writePolicy(file string, grants []policy.Grant) error {
	p := policy.Policy{}
	for _, g := range grants {
		p.Allow = append(p.Allow, policy.Line{Grant: g})
	}
	head := fmt.Sprintf("# What %s needs. Remove what it shall not do.\n", node.Printable(filepath.Base(file)))
	return a.write(append([]byte(head), p.Format()...))
}

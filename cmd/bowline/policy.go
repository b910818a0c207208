package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
			"explain says for each thing that it does which line decides, and its limits.\n" +
			"What a plugin attaches to is often said on its command line only: suggest then grants the hook everywhere, unless it is run with --trace, " +
			"and check is content if it is granted somewhere. BPF programs that a plugin makes when it runs are to be seen with --trace only.",
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
	wasm, f, err := a.readModule(args[0])
	if err != nil {
		if advice := adviceFor(err); advice != "" {
			return fmt.Errorf("policy %s %w; %s", what, err, advice)
		}
		return fmt.Errorf("policy %s %w", what, err)
	}
	contents := lookInto(f)
	manifest, err := node.ManifestOf(f)
	if err != nil {
		return fmt.Errorf("policy %s %s: %w", what, args[0], err)
	}
	if what == "suggest" {
		return a.writePolicy(args[0], append(contents.Needs(), ofWASI(manifest)...), contents.Unseen)
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
	return a.judge(rights, contents, manifest, what == "explain")
}

// judge says what the rights allow of what a plugin will ask for: all of it, or only what is denied.
func (a *app) judge(rights *policy.Rights, contents policy.Contents, manifest *policy.Manifest, all bool) error {
	j := judgement{all: all, seen: map[string]bool{}, hooks: map[string]bool{}, names: map[string][]string{}}
	for _, l := range contents.Everywhere {
		action := policy.Action{Kind: policy.Attach, Hook: l.Grant.Word(), Sub: l.Grant.Sub()}
		j.add(action, rights.ExplainSomewhere(action))
	}
	// A program that may not be loaded may not be attached either, and one line adds both: the hook says it better.
	for _, load := range []bool{false, true} {
		for _, action := range contents.Actions {
			if (action.Kind == policy.Load) == load {
				j.add(action, rights.ExplainSomewhere(action))
			}
		}
	}
	for _, p := range rights.Preopens() {
		if p.Asked {
			action := policy.Action{Kind: policy.Dir, Name: p.Path, Write: p.Write}
			j.add(action, rights.Explain(action))
		}
	}
	for _, g := range ofWASI(manifest) {
		if g.Word() == "env" {
			action := policy.Action{Kind: policy.Env, Name: g.Target()}
			j.add(action, rights.ExplainSomewhere(action))
		}
	}
	j.sum()
	if contents.Unseen {
		j.line("it can load BPF programs that are not to be seen in it: only a run shows what these need (policy suggest --trace)")
	} else if all && j.text.Len() == 0 {
		j.line("it asks for nothing that needs a grant")
	}
	if all {
		for _, limit := range rights.Limits().Text() {
			j.line("limit " + limit[0] + ": " + limit[1])
		}
	}
	if err := a.write(j.text.Bytes()); err != nil {
		return err
	}
	if j.denied {
		return exitCode(node.ExitDenied)
	}
	return nil
}

// ofWASI are the grants that only a manifest tells of: a program imports the functions for directories and variables, but not their names.
func ofWASI(m *policy.Manifest) (out []policy.Grant) {
	if m == nil {
		return nil
	}
	for _, n := range m.Needs {
		if word := n.Grant.Word(); word == "dir" || word == "env" {
			out = append(out, n.Grant)
		}
	}
	return out
}

// judgement is what judge writes.
type judgement struct {
	text   bytes.Buffer
	all    bool
	denied bool
	hooks  map[string]bool // that are denied
	seen   map[string]bool // lines that are written, and grants that were said to be missing
	free   []string        // verbs of what needs no grant
	names  map[string][]string
}

func (j *judgement) line(text string) { fmt.Fprintln(&j.text, node.Printable(text)) }

func (j *judgement) add(action policy.Action, d policy.Decision) {
	switch {
	case j.seen[d.Text]:
		return
	case d.Allowed && d.Line == nil: // these are many
		verb := action.Verb()
		if j.names[verb] == nil {
			j.free = append(j.free, verb)
		}
		j.names[verb] = append(j.names[verb], action.Subject())
	case d.Allowed:
		if j.all {
			j.line(d.Text)
		}
	default:
		j.denied = true
		if action.Kind == policy.Load && (j.seen[d.Add] || j.hooks[action.Hook]) {
			return
		}
		if action.Kind == policy.Attach {
			j.hooks[action.Hook], j.seen[d.Add] = true, true
		}
		j.line(d.Text)
	}
	j.seen[d.Text] = true
}

// sum writes what needs no grant.
func (j *judgement) sum() {
	for _, verb := range j.free {
		if j.all {
			j.line(verb + " " + strings.Join(j.names[verb], ", ") + ": allowed, it needs no grant")
		}
	}
}

// pluginName is what policies call a plugin: its file's name.
func pluginName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".wasm") }

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
	defer onSignal(cancel, false)()
	code, err := node.Run(ctx, opts)
	if err != nil {
		return fmt.Errorf("policy suggest %s: %w", file, err)
	}
	grants := policy.Suggest(actions)
	switch {
	case len(grants) == 0 && code == node.ExitTimeout:
		return fmt.Errorf("policy suggest %s: the time was up before it did anything that needs a grant; use a longer --timeout", file)
	case code != node.ExitOK && code != node.ExitInterrupted && code != node.ExitTimeout:
		a.complain(errors.New("the plugin ended with exit code " + fmt.Sprint(code) + ": what is suggested is for what it did until then"))
	}
	return a.writePolicy(file, grants, false)
}

// writePolicy writes a policy of some grants. unseen says that the plugin may need more.
func (a *app) writePolicy(file string, grants []policy.Grant, unseen bool) error {
	p := policy.Policy{}
	var wide []string
	for _, g := range grants {
		p.Allow = append(p.Allow, policy.Line{Grant: g})
		if n := g.Narrower(); n != "" {
			wide = append(wide, n)
		}
	}
	name := node.Printable(filepath.Base(file))
	var b strings.Builder
	switch {
	case unseen:
		fmt.Fprintf(&b, "# What %s needs by its contents. It can load BPF programs that are not to be seen in it: --trace shows what they need.\n", name)
	case len(grants) == 0:
		fmt.Fprintf(&b, "# %s needs no grant.\n", name)
	default:
		fmt.Fprintf(&b, "# What %s needs. Remove what it shall not do.\n", name)
	}
	if len(wide) > 0 {
		fmt.Fprintf(&b, "# Where, it says only when it runs; less can be granted, such as %s.\n", strings.Join(wide, ", "))
	}
	return a.write(append([]byte(b.String()), p.Format()...))
}

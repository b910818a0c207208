package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/node"
)

// probeTime bounds how long the kernel is asked.
const probeTime = 1800 * time.Millisecond

func (a *app) probeCommand() *cli.Command {
	return &cli.Command{
		Name:      "probe",
		Usage:     "say what BPF can do on this kernel with these privileges",
		ArgsUsage: "[-o json]",
		Description: "Asks the kernel, by trying, where BPF programs can be attached, which program and map types it has, and says what is " +
			"missing and how to get it. Nothing is left behind. Works without privileges, too, but then it cannot try much.\n" +
			"Exits with 0 if the basics work, 3 if privileges are missing, and 6 if this kernel has no usable BPF.",
		UsageText: "probe\nprobe -o json | jq -r '.groups[].features[] | select(.answer != \"yes\") | .name'",
		Flags:     []cli.Flag{outputFlag()},
		Action:    a.probeAction,
	}
}

func (a *app) probeAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, probeTime)
	defer cancel()
	r := kernel.Probe(ctx)
	if asJSON {
		err = a.writeJSON(r)
	} else {
		var b bytes.Buffer
		writeProbe(&b, r, styleFor(a.stdout), width(a.stdout))
		err = a.write(b.Bytes())
	}
	switch {
	case err != nil:
		return err
	case r.Verdict == kernel.VerdictDenied:
		return exitCode(node.ExitDenied)
	case r.Verdict == kernel.VerdictUnusable:
		return exitCode(node.ExitUnsupported)
	}
	return nil
}

func writeProbe(w io.Writer, r *kernel.ProbeReport, s style, columns int) {
	switch r.Verdict {
	case kernel.VerdictOK:
		fmt.Fprintln(w, worksLine(r, s))
	default:
		fmt.Fprintf(w, "%s %s\n", s.red("BPF does not work here:"), r.Reason)
		if r.Get != "" {
			fmt.Fprintf(w, "%s %s\n", s.bold("What to do:"), r.Get)
		}
	}
	fmt.Fprintln(w)
	row := func(name, text string) {
		fmt.Fprintf(w, "%-12s%s\n", name, strings.TrimLeft(wrap(text, strings.Repeat(" ", 12), columns), " "))
	}
	row("kernel", kernelLine(r.Kernel))
	row("modules", orUnknown(strings.Join(r.Kernel.LSMs, ", ")))
	row("privileges", privilegesLine(r.Privileges))
	row("memlock", r.Privileges.Memlock)
	for i, m := range r.Mounts {
		text := m.Type + " at " + m.Path
		if m.Path == "" {
			text = fmt.Sprintf("%s is not mounted: %s; to mount it: %s", m.Type, m.Without, m.Get)
		}
		row(map[bool]string{true: "mounts"}[i == 0], text)
	}
	for _, g := range r.Groups {
		writeProbeGroup(w, g, s, columns)
	}
}

// worksLine says how much of BPF works, by the hooks.
func worksLine(r *kernel.ProbeReport, s style) string {
	yes, all := 0, 0
	for _, g := range r.Groups {
		for _, f := range g.Features {
			if g.ID != "hooks" {
				break
			}
			all++
			if f.Answer == kernel.ProbeYes {
				yes++
			}
		}
	}
	switch {
	case yes == all:
		return s.green("BPF works here.")
	case yes*2 >= all:
		return s.green(fmt.Sprintf("BPF works here: %d of %d hooks.", yes, all))
	}
	return s.yellow(fmt.Sprintf("BPF works here in part: %d of %d hooks.", yes, all))
}

func kernelLine(k kernel.ProbeKernel) string {
	btf := "BTF"
	if !k.BTF {
		btf = "no BTF"
	}
	line := fmt.Sprintf("Linux %s on %s, %s, JIT %s, BPF without privileges %s", k.Release, k.Arch, btf, k.JIT, k.UnprivilegedBPF)
	if k.Lockdown != "" {
		line += ", lockdown " + k.Lockdown
	}
	return line
}

func privilegesLine(p kernel.ProbePrivileges) string {
	line := fmt.Sprintf("user %d", p.UID)
	if len(p.Held) > 0 {
		line += " with " + strings.Join(p.Held, ", ")
	}
	if len(p.Missing) > 0 {
		line += " without " + strings.Join(p.Missing, ", ")
	}
	if p.UserNamespace {
		line += ", in a user namespace of its own, where they do not count"
	}
	if p.Seccomp {
		line += ", under a seccomp filter"
	}
	return line
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown (only root can read them)"
	}
	return s
}

// writeProbeGroup writes what works in one block, and the rest by reason.
func writeProbeGroup(w io.Writer, g kernel.ProbeGroup, s style, columns int) {
	type reason struct {
		answer   kernel.ProbeAnswer
		why, get string
	}
	var order []reason
	names := map[reason][]string{}
	yes := 0
	for _, f := range g.Features {
		k := reason{f.Answer, f.Why, f.Get}
		if f.Answer == kernel.ProbeYes {
			yes++
			k = reason{answer: f.Answer}
		}
		if names[k] == nil {
			order = append(order, k)
		}
		names[k] = append(names[k], f.Name)
	}
	fmt.Fprintf(w, "\n%s: %d of %d\n", s.bold(g.Title), yes, len(g.Features))
	colour := map[kernel.ProbeAnswer]func(string) string{
		kernel.ProbeYes: s.green, kernel.ProbeNo: s.red, kernel.ProbeDenied: s.yellow, kernel.ProbeUnknown: s.yellow,
	}
	indent := strings.Repeat(" ", 12)
	for _, k := range order {
		list := wrap(strings.Join(names[k], ", "), indent, columns)
		fmt.Fprintf(w, "  %s%s\n", colour[k.answer](fmt.Sprintf("%-10s", k.answer)), strings.TrimLeft(list, " "))
		text := k.why
		if k.get != "" {
			text += "; to have it: " + k.get
		}
		if text != "" {
			fmt.Fprintln(w, s.dim(wrap(text, indent+"  ", columns)))
		}
	}
}

package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/node"
)

// confineFlags say how much power the process that runs a plugin keeps.
func confineFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "privileges", Value: "needed", Usage: "which privileges the process keeps while the plugin runs, `WHICH`: needed, what its " +
			"grants take; needed,CAP_NAME, that capability too; keep, all, and all files"},
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

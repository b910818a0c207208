package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/node"
)

// release is the version, set by the linker: -X main.release=v1.2.3.
var release string

// versionInfo is the JSON form of "bowline version".
type versionInfo struct {
	// Version is "unknown" if neither the linker nor Go recorded one.
	Version string `json:"version"`
	// Commit is the git revision, with "+dirty" if there were changes; empty if it was not recorded.
	Commit  string          `json:"commit"`
	Go      string          `json:"go"`
	OS      string          `json:"os"`
	Arch    string          `json:"arch"`
	Engines []engineVersion `json:"engines"`
}

type engineVersion struct {
	Name string `json:"name"`
	// Version is what the engine says of itself.
	Version string `json:"version"`
}

func (a *app) versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "say what this build is",
		ArgsUsage:   "[-o json]",
		Description: "Prints version, commit, Go version, platform and the Wasm engines of this build, each with the version that it says of itself.",
		UsageText:   "version\nversion -o json",
		Flags:       []cli.Flag{outputFlag()},
		Action:      a.versionAction,
	}
}

func (a *app) versionAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	v := readVersion()
	if asJSON {
		return a.writeJSON(v)
	}
	return a.write(versionText(v))
}

func versionText(v versionInfo) []byte {
	var b bytes.Buffer
	number := v.Version
	if number == unknownVersion {
		number = "version unknown"
	}
	fmt.Fprintf(&b, "%s %s (commit %s)\n", appName, number, cmp.Or(v.Commit, "unknown"))
	fmt.Fprintf(&b, "%s %s/%s\n", v.Go, v.OS, v.Arch)
	for _, e := range v.Engines {
		fmt.Fprintf(&b, "engine %s %s\n", e.Name, e.Version)
	}
	return b.Bytes()
}

// unknownVersion is what the Makefile gives outside a git tree, too.
const unknownVersion = "unknown"

func readVersion() versionInfo {
	v := versionInfo{Version: release, Go: goruntime.Version(), OS: goruntime.GOOS, Arch: goruntime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	if v.Version == "" || v.Version == "(devel)" {
		v.Version = unknownVersion
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if v.Commit != "" {
		v.Commit += dirty
	}
	for _, name := range node.Engines() {
		v.Engines = append(v.Engines, engineVersion{name, node.EngineVersion(name)})
	}
	return v
}

// writeJSON writes a value as indented JSON.
func (a *app) writeJSON(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return a.write(b.Bytes())
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

func (a *app) manifestCommand() *cli.Command {
	return &cli.Command{
		Name:      "manifest",
		Usage:     "put a manifest into a plugin, show it, check it",
		ArgsUsage: "add FILE.wasm MANIFEST [-o OUT] | show FILE.wasm | check FILE.wasm|MANIFEST...",
		Description: "A manifest says what a plugin asks for, and why; see docs/policy.md. add puts the file MANIFEST, YAML or JSON, into the plugin's " +
			"custom section " + policy.ManifestSection + ", in place of the one that is there. The same files give the same bytes. " +
			"show prints the section. check reads a manifest, and with a plugin says where it and the contents of the plugin differ: " +
			"it exits with 1 if something is wrong. Plugins in C can have theirs by the macro BPF_MANIFEST.",
		UsageText: "manifest add plugin.wasm manifest.yaml\n" +
			"manifest add built.wasm manifest.yaml -o plugin.wasm\n" +
			"manifest check manifest.yaml\n" +
			"manifest check plugin.wasm manifest.yaml\n" +
			"manifest show plugin.wasm",
		Flags:  []cli.Flag{&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "with add: write to `FILE` and leave the plugin as it is; \"-\" is standard output"}},
		Action: a.manifestAction,
	}
}

func (a *app) manifestAction(c *cli.Context) error {
	args := c.Args().Slice()
	if len(args) > 0 && args[len(args)-1] == "--" {
		args = args[:len(args)-1]
	}
	if len(args) == 0 {
		return usagef("manifest: say what to do: add, show or check")
	}
	what, args := args[0], args[1:]
	var do func() error
	switch {
	case what != "add" && c.IsSet("out"):
		return usagef("manifest %s: --out is for add", what)
	case what == "add" && len(args) == 2:
		do = func() error { return a.manifestAdd(args[0], args[1], c.String("out")) }
	case what == "add":
		return usagef("manifest add: name the plugin and the manifest: %s manifest add FILE.wasm MANIFEST", appName)
	case what == "show" && len(args) == 1:
		do = func() error { return a.manifestShow(args[0]) }
	case what == "show":
		return usagef("manifest show: name one .wasm file")
	case what == "check" && (len(args) == 1 || len(args) == 2):
		do = func() error { return a.manifestCheck(args) }
	case what == "check":
		return usagef("manifest check: name a .wasm file, a manifest, or both")
	default:
		return usagef("manifest: %q is neither add, show nor check", what)
	}
	err := do()
	var code exitCode
	if err == nil || errors.As(err, &code) {
		return err
	}
	if advice := adviceFor(err); advice != "" {
		return fmt.Errorf("manifest %s: %w; %s", what, err, advice)
	}
	return fmt.Errorf("manifest %s: %w", what, err)
}

// manifestAdd puts a manifest into a module. What does not agree is told, and added all the same: only the author knows what a run will do.
func (a *app) manifestAdd(file, manifest, out string) error {
	wasm, f, err := a.readModule(file)
	if err != nil {
		return err
	}
	text, m, err := readManifest(manifest)
	if err != nil {
		return err
	}
	warnings, _ := differences(m, f, m.Compare(lookInto(f)))
	for _, w := range warnings {
		a.complain(fmt.Errorf("%s: warning: %s", file, w))
	}
	made, err := wasmfile.SetCustom(wasm, policy.ManifestSection, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	switch {
	case out == "-":
		return a.write(made)
	case out == "" && bytes.Equal(made, wasm):
		return nil
	case out == "":
		out = file
	}
	return replaceFile(out, file, made)
}

// readModule reads a .wasm file.
func (a *app) readModule(file string) ([]byte, *wasmfile.File, error) {
	wasm, err := a.readFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	f, err := wasmfile.Parse(wasm)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return wasm, f, nil
}

// readManifest reads a manifest out of a file of its own.
func readManifest(file string) ([]byte, *policy.Manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, withoutPath(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPolicy))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, withoutPath(err))
	}
	m, err := policy.ParseManifest(text)
	if err != nil { // it calls every one "manifest"
		return nil, nil, fmt.Errorf("%s%s", file, strings.TrimPrefix(err.Error(), "manifest"))
	}
	return text, m, nil
}

// replaceFile writes a file as a whole or not at all. A new one has the mode of the file that it was made from; a link stays one.
func replaceFile(name, like string, content []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name, like = real, real
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(like); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, withoutPath(err))
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", name, withoutPath(err))
	}
	return nil
}

// manifestShow prints the manifest of a module, without what would steer a terminal.
func (a *app) manifestShow(file string) error {
	_, f, err := a.readModule(file)
	if err != nil {
		return err
	}
	if m, err := node.ManifestOf(f); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	} else if m == nil {
		return fmt.Errorf("%s: it has none; write one and add it: %s manifest add %[1]s MANIFEST", file, appName)
	}
	s, _ := f.CustomSection(policy.ManifestSection)
	var b strings.Builder
	for line := range strings.Lines(string(s.Bytes)) {
		text := strings.TrimRight(line, "\r\n")
		for i, part := range strings.Split(text, "\t") {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(node.Printable(part))
		}
		b.WriteByte('\n')
	}
	return a.write([]byte(b.String()))
}

// manifestCheck reads a manifest, a module, or both.
func (a *app) manifestCheck(files []string) error {
	var f *wasmfile.File
	var m *policy.Manifest
	module, err := "", error(nil)
	for _, file := range files {
		is, err := isModule(file)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", file, withoutPath(err))
		case is && f != nil:
			return errors.New("two .wasm files: name one, and a manifest")
		case is:
			module = file
			if _, f, err = a.readModule(file); err != nil {
				return err
			}
		case m != nil:
			return errors.New("two manifests: name one, and a .wasm file")
		default:
			if _, m, err = readManifest(file); err != nil {
				return err
			}
		}
	}
	if f == nil {
		return nil
	}
	if m == nil {
		if m, err = node.ManifestOf(f); err != nil {
			return fmt.Errorf("%s: %w", module, err)
		} else if m == nil {
			return fmt.Errorf("%s: it has no manifest", module)
		}
	}
	warnings, notes := differences(m, f, m.Compare(lookInto(f)))
	var b bytes.Buffer
	writeDifferences(&b, warnings, notes, styleFor(a.stdout))
	if err := a.write(b.Bytes()); err != nil {
		return err
	}
	if len(warnings) > 0 {
		return exitCode(node.ExitFailure)
	}
	return nil
}

// isModule reports whether a file begins as a Wasm module does.
func isModule(file string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(magic[:n]) == "\x00asm" || strings.HasSuffix(file, ".wasm"), nil
}

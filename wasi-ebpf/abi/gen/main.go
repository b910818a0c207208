// Command gen writes what is made from the contract in wasi-ebpf/abi: the C header, the WIT package and, between the markers, the tables of the
// specification. Run it from the root of the repository; a test fails when a committed file differs from what it writes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// output is one file that is made from the contract.
type output struct {
	// path is from the root of the repository.
	path string
	// render makes the file's text; old is what the file has now, for files that are partly written by hand.
	render func(old string) (string, error)
}

// outputs lists every file that this command writes.
func outputs() []output {
	files := []output{
		{"wasi-ebpf/sdk/c/wasi_ebpf/abi.h", func(string) (string, error) { return header(), nil }},
		{"wasi-ebpf/abi/gen/testdata/imports.c", func(string) (string, error) { return importsGuest(), nil }},
		{"wasi-ebpf/wit/ebpf.wit", func(string) (string, error) { return wit(), nil }},
	}
	for _, page := range pages() {
		files = append(files, output{specDir + page + ".md", func(old string) (string, error) { return fill(page, old) }})
	}
	return files
}

func main() {
	root := flag.String("root", ".", "root of the repository")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	for _, o := range outputs() {
		path := filepath.Join(root, o.path)
		old, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		text, err := o.render(string(old))
		if err != nil {
			return fmt.Errorf("%s: %w", o.path, err)
		}
		if text == string(old) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// built are the static binaries to run.
type built struct {
	dir      string // where all is
	init     string
	tests    []testBinary
	userland string
}

// testBinary is the tests of one package.
type testBinary struct {
	// pkg is the import path, rel the same from the root of the module, dir the folder on this machine.
	pkg, rel, dir string
	// guest is the binary for guests, native the one for this machine.
	guest, native string
}

// goCommand is the go command that runs this program, or the one on the PATH.
func goCommand() string {
	if g := os.Getenv("GO"); g != "" {
		return g
	}
	return "go"
}

// build compiles the tests of the packages. Packages without tests are left out.
func build(ctx context.Context, dir string, packages []string) (*built, error) {
	out, err := run(ctx, nil, goCommand(), append([]string{"list", "-json=ImportPath,Dir,Module,TestGoFiles,XTestGoFiles"}, packages...)...)
	if err != nil {
		return nil, err
	}
	b := &built{dir: dir, init: filepath.Join(dir, "init")}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir           string
			Module                    struct{ Path string }
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			continue
		}
		rel := strings.TrimPrefix(p.ImportPath, p.Module.Path+"/")
		t := testBinary{pkg: p.ImportPath, rel: rel, dir: p.Dir, guest: filepath.Join(dir, strings.ReplaceAll(rel, "/", "-")+".test")}
		if err := compile(ctx, "amd64", "test", "-c", "-o", t.guest, p.ImportPath); err != nil {
			return nil, err
		}
		t.native = t.guest
		if runtime.GOARCH != "amd64" {
			t.native += ".native"
			if err := compile(ctx, runtime.GOARCH, "test", "-c", "-o", t.native, p.ImportPath); err != nil {
				return nil, err
			}
		}
		b.tests = append(b.tests, t)
	}
	if len(b.tests) == 0 {
		return nil, fmt.Errorf("build: no tests in %s", strings.Join(packages, " "))
	}
	return b, compile(ctx, "amd64", "build", "-o", b.init, "github.com/bowline-edge/bowline/internal/vmtest/testkernels")
}

func compile(ctx context.Context, arch string, args ...string) error {
	_, err := run(ctx, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch}, goCommand(), args...)
	return err
}

func run(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// guestDir is where a package's tests run in a guest: in a tree like this module's, with the package's testdata beside them.
func (t testBinary) guestDir() string { return path.Join("/src", t.rel) }

// files are what the tests read, by their path in the guest.
func (b *built) files() map[string]string {
	files := map[string]string{}
	for _, t := range b.tests {
		for _, pattern := range []string{"*/*.wasm", "*/*.golden"} { // plugins, and what they must print
			found, _ := filepath.Glob(filepath.Join(t.dir, pattern)) // the pattern is fine
			for _, f := range found {
				if dir, name := filepath.Split(f); filepath.Base(dir) != "testdata" { // that comes whole
					files[path.Join(t.guestDir(), filepath.Base(dir), name)] = f
				}
			}
		}
		// Some tests use another package's files.
		root := strings.TrimSuffix(t.dir, t.rel)
		_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil || !d.IsDir():
				return nil // what is missing is missed by a test
			case d.Name() == "testdata":
				files[path.Join("/src", strings.TrimPrefix(p, root))] = p
				return fs.SkipDir
			case p != root && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			}
			return nil
		})
	}
	return files
}

// Package archtest holds the house rules as tests: who may import whom, package
// comments, names, and the size of files.
package archtest

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bowline-edge/bowline/"

// mayImport is the drawing in docs/architecture.md as a table: for each package
// the packages of this module that it may import. "x/..." stands for x and all
// below it. A package that is not here fails the test: add it, and draw it.
var mayImport = map[string][]string{
	"bpf":                     {"internal/kernel"},
	"cmd/bowline":             {"node", "policy", "bpf", "internal/confine", "internal/kernel", "internal/wasmfile", "runtime/engine", "wasi-ebpf/abi"},
	"hostfuncs":               {"bpf", "policy"},
	"hostfuncs/session":       {"hostfuncs", "policy", "bpf", "internal/kernel", "wasi-ebpf/abi"},
	"hostfuncs/ebpf":          {"hostfuncs", "policy", "hostfuncs/session", "bpf", "internal/kernel", "runtime/engine", "wasi-ebpf/abi"},
	"hostfuncs/wasmbpf":       {"hostfuncs", "hostfuncs/session", "bpf", "runtime/engine"},
	"internal/confine":        {"internal/kernel"},
	"internal/kernel":         {},
	"internal/kerneltest":     {"internal/kernel", "bpf"},
	"internal/archtest":       {},
	"internal/wasmfile":       {"runtime/engine"},
	"node":                    {"runtime/...", "hostfuncs/...", "bpf", "policy", "internal/confine", "internal/kernel", "internal/wasmfile", "wasi-ebpf/abi"},
	"policy":                  {},
	"runtime":                 {"runtime/engine", "runtime/preempt", "internal/wasmfile"},
	"runtime/engine":          {},
	"runtime/engine/wazero":   {"runtime/engine", "internal/wasmfile"},
	"runtime/engine/wasmtime": {"runtime/engine", "internal/wasmfile"},
	"runtime/preempt":         {"internal/wasmfile", "runtime/engine"},
	"wasi-ebpf/abi":           {},
	"wasi-ebpf/abi/gen":       {"wasi-ebpf/abi"},
	"wasi-ebpf/conformance":   {"runtime/engine"},
	"bench":                   {"..."},
	"bench/native":            {},

	"internal/vmtest":             {},
	"internal/vmtest/testkernels": {"internal/vmtest"},
}

// longFiles are the files that may have more than maxLines, with the reason.
var longFiles = map[string]string{}

const maxLines = 400

var bannedNames = []string{"util", "utils", "common", "helper", "helpers", "misc"}

// mayLog are the packages that talk to people. All others return errors.
var mayLog = []string{"cmd/bowline", "node", "bench", "bench/native", "internal/vmtest/testkernels"}

type file struct {
	rel  string // from the root of the repository
	pkg  string // directory
	ast  *ast.File
	text []byte
}

// sources parses every Go file of the module, but test files, generated ones and
// those of nested modules.
func sources(t *testing.T) []file {
	t.Helper()
	root := "../.."
	var files []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if d.IsDir() {
			base := d.Name()
			if rel != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && rel != "." {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(parsed) {
			return nil
		}
		files = append(files, file{rel: filepath.ToSlash(rel), pkg: path.Dir(filepath.ToSlash(rel)), ast: parsed, text: text})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found %d Go files; is this the root of the repository?", len(files))
	}
	return files
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range sources(t) {
		allowed, ok := mayImport[f.pkg]
		if !ok {
			t.Errorf("%s: package %s is not in the table of who may import whom; add it there and to docs/architecture.md", f.rel, f.pkg)
			continue
		}
		for _, imp := range f.ast.Imports {
			to, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module)
			if ours && !matches(allowed, to) {
				t.Errorf("%s: %s must not import %s", f.rel, f.pkg, to)
			}
		}
	}
}

func matches(allowed []string, pkg string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		if tree, ok := strings.CutSuffix(a, "..."); ok {
			return strings.HasPrefix(pkg+"/", tree)
		}
		return a == pkg
	})
}

func TestEveryPackageHasOneComment(t *testing.T) {
	// Files that exclude each other by a build tag each count in their build only,
	// so what counts is the set of files of one build.
	comments := map[string][]string{}
	packages := map[string]bool{}
	for _, f := range sources(t) {
		packages[f.pkg] = true
		if f.ast.Doc == nil {
			continue
		}
		dir, name := filepath.Split(filepath.Join("../..", f.rel))
		if in, err := build.Default.MatchFile(dir, name); err == nil && !in {
			continue
		}
		comments[f.pkg] = append(comments[f.pkg], f.rel)
	}
	for pkg := range packages {
		if n := len(comments[pkg]); n != 1 {
			t.Errorf("package %s has %d package comments, want 1: %v", pkg, n, comments[pkg])
		}
	}
}

func TestNamesSayWhatIsInside(t *testing.T) {
	for _, f := range sources(t) {
		for _, part := range strings.Split(f.pkg, "/") {
			if slices.Contains(bannedNames, part) {
				t.Errorf("%s: a package called %s says nothing; name it after what it gives", f.rel, part)
			}
		}
	}
}

func TestFilesAreSmall(t *testing.T) {
	for _, f := range sources(t) {
		n := strings.Count(string(f.text), "\n")
		if reason := longFiles[f.rel]; n > maxLines && reason == "" {
			t.Errorf("%s has %d lines, more than %d; would a newcomer look for two things here?", f.rel, n, maxLines)
		}
	}
	for rel := range longFiles {
		if _, err := os.Stat(filepath.Join("../..", rel)); err != nil {
			t.Errorf("the exception for %s is not needed any more: %v", rel, err)
		}
	}
}

func TestLibrariesDoNotLog(t *testing.T) {
	for _, f := range sources(t) {
		if slices.Contains(mayLog, f.pkg) {
			continue
		}
		for _, imp := range f.ast.Imports {
			if p := strings.Trim(imp.Path.Value, `"`); p == "log" || p == "log/slog" {
				t.Errorf("%s: a library returns errors, it does not import %s", f.rel, p)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name := printer(call); name != "" {
					t.Errorf("%s: a library does not call %s", f.rel, name)
				}
			}
			return true
		})
	}
}

// printer answers the name of a call that writes to the process's own streams.
func printer(call *ast.CallExpr) string {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := sel.X.(*ast.Ident)
	if ok && pkg.Name == "fmt" && slices.Contains([]string{"Print", "Println", "Printf"}, sel.Sel.Name) {
		return fmt.Sprintf("fmt.%s", sel.Sel.Name)
	}
	return ""
}

func TestTheTableHasNoDeadRows(t *testing.T) {
	exists := map[string]bool{}
	for _, f := range sources(t) {
		exists[f.pkg] = true
	}
	for pkg := range mayImport {
		if !exists[pkg] && pkg != "internal/archtest" {
			t.Errorf("the table names package %s, which does not exist", pkg)
		}
	}
}

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wazero"
)

// factory makes an engine of one kind.
type factory struct {
	name string
	// version is what the engine says of itself, which for Wasmtime is the version of
	// the C library: that of the Go module around it may differ.
	version string
	open    func(cacheDir string) (cachingEngine, error)
}

// cachingEngine can say why it does not use its cache directory, or why the last
// entry could not be written.
type cachingEngine interface {
	engine.Engine
	CacheError() error
}

// Engines lists the engines in this build, the default one first.
func Engines() []string {
	var names []string
	for _, f := range factories() {
		names = append(names, f.name)
	}
	return names
}

// EngineVersion is the version of one of [Engines] as the engine itself says it,
// such as "v1.12.0"; empty if this build does not have it.
func EngineVersion(name string) string {
	for _, f := range factories() {
		if f.name == name {
			return f.version
		}
	}
	return ""
}

func factories() []factory {
	version := (*wazero.Engine)(nil).Version()
	return append([]factory{{name: "wazero", version: version, open: openWazero}}, optional...)
}

func newEngine(opts RunOptions, t *talk) (cachingEngine, error) {
	all := factories()
	i := 0
	if opts.Engine != "" {
		i = slices.IndexFunc(all, func(f factory) bool { return f.name == opts.Engine })
	}
	if i < 0 {
		return nil, unknownEngine(opts.Engine)
	}
	dir, err := cacheDir(opts.CacheDir)
	if err != nil {
		t.detail("no compile cache: %v", err)
	}
	eng, err := all[i].open(dir)
	if err != nil {
		return nil, fmt.Errorf("start engine %s: %w", all[i].name, err)
	}
	return eng, nil
}

func unknownEngine(name string) error {
	if name == "wasmtime" {
		return fmt.Errorf("engine wasmtime is not in this build; build bowline with -tags wasmtime and cgo")
	}
	return fmt.Errorf("no engine %q; this build has %s", name, strings.Join(Engines(), ", "))
}

// cacheDir answers the directory for compiled modules, empty for none.
func cacheDir(asked string) (string, error) {
	switch asked {
	case "off":
		return "", nil
	case "":
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		return filepath.Join(base, "bowline"), nil
	}
	return asked, nil
}

// cache tells why compiled modules are not kept: always if the operator said where to keep them.
func (t *talk) cache(asked string, err error) {
	text := "compile cache: " + strings.TrimPrefix(err.Error(), "compile cache ")
	if asked == "" {
		t.detail("%s", text)
		return
	}
	t.line(text + "; the plugin is compiled again at each start")
}

func openWazero(dir string) (cachingEngine, error) { return wazero.New(wazero.Options{CacheDir: dir}) }

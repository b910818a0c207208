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
	open func(cacheDir string) (cachingEngine, error)
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

func factories() []factory {
	return append([]factory{{name: "wazero", open: openWazero}}, optional...)
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

func openWazero(dir string) (cachingEngine, error) { return wazero.New(wazero.Options{CacheDir: dir}) }

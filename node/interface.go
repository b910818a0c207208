package node

import (
	"github.com/bowline-edge/bowline/hostfuncs/ebpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/hostfuncs/wasmbpf"
	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// MaxModuleSize is the largest module that [Run] takes, in bytes.
const MaxModuleSize = runtime.MaxModuleSize

// providers are who answers a plugin's imports, besides the engine's WASI.
func providers(opts session.Options) []engine.Provider {
	return []engine.Provider{ebpf.Provider{Options: opts}, wasmbpf.Provider{Options: opts}}
}

// Offers lists every function that a plugin may import, besides those of WASI. The same name may be there with several
// types.
func Offers() []engine.Import {
	var offers []engine.Import
	for _, p := range providers(session.Options{}) {
		offers = append(offers, p.Offers()...)
	}
	return offers
}

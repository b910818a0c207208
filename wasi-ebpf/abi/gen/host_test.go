package main

import (
	"github.com/bowline-edge/bowline/hostfuncs/ebpf"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// hostOffers is what the host registers.
func hostOffers() []engine.Import { return ebpf.Provider{}.Offers() }

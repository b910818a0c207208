package bpf

import (
	"testing"

	"github.com/bowline-edge/bowline/internal/kernel"
)

func TestFreplaceNeedsATarget(t *testing.T) {
	_, _, err := tryLoadHook(t, "trampoline", "replacement")
	wantError(t, err, nil, "replacement")
	if kernel.Trampolines() != nil {
		t.Log("trampolines are refused here, so nothing can be replaced")
	}
}

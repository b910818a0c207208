package bpf

import (
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// The kernel asks for privileges when a program is loaded, and again only for perf events.
func TestMissingPrivilegesAreNamed(t *testing.T) {
	for _, c := range []struct {
		file, program string
		target        Target
		want          string
	}{
		{"trace", "tp", Target{}, "CAP_"},
		{"trace", "up", Target{Path: "libc", Symbol: "malloc"}, "CAP_PERFMON"},
		{"trace", "sample", Target{}, "CAP_PERFMON"},
	} {
		t.Run(c.program, func(t *testing.T) {
			kerneltest.RequireRoot(t)
			o, p := loadHook(t, c.file, c.program)
			if p.multi {
				t.Skip("uprobes are not perf's on this kernel")
			}
			var err error
			kerneltest.WithoutCapabilities(t, func() { _, err = o.Attach(p, c.target) })
			wantError(t, err, ErrPermission, "attach", c.want)
		})
	}
}

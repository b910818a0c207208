package kerneltest

import (
	"testing"

	"github.com/cilium/ebpf"
)

// CoversProgram says in the test's output that the test uses a type of program: passed, it shows that the type works on this kernel;
// skipped, that the kernel lacks it. docs/kernels.md is made of that.
func CoversProgram(t testing.TB, typ ebpf.ProgramType) { t.Attr("covers", "prog "+typ.String()) }

// CoversMap is [CoversProgram] for a type of map.
func CoversMap(t testing.TB, typ ebpf.MapType) { t.Attr("covers", "map "+typ.String()) }

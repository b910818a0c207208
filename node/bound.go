package node

import (
	"fmt"

	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/policy"
)

// What the host itself takes in a process that runs one plugin: memory, also for each byte of a module while it is compiled, CPU in percent
// of one, threads.
const (
	hostMemory     = 256 << 20
	compileMemory  = 24
	hostCPU        = 100
	processThreads = 256
)

// bound limits the process of a plugin as a whole: more widely than the plugin, whose limits are enforced inside. It is for what gets past
// these: a fault of the engine, or of the host.
func bound(limits policy.Limits, module int, t *talk) {
	b := confine.Bounds{Memory: limits.Memory + limits.MapMemory + hostMemory + compileMemory*int64(module), Threads: processThreads}
	if limits.CPUShare > 0 {
		b.CPU = limits.CPUShare + hostCPU
	}
	if err := confine.NoCore(); err != nil {
		t.detail("%v", err)
	}
	dir, err := confine.EnterCgroup(b)
	if err == nil {
		t.detail("the process has %d MiB of memory, %d threads and %s of CPU, by control group %s", b.Memory>>20, b.Threads, percent(b.CPU), dir)
		return
	}
	t.detail("no control group for the process: %v", err)
	data := uint64(b.Memory - limits.MapMemory + hostMemory) // which counts what Go reserves, but not the kernel's maps
	if err := confine.LimitData(data); err != nil {
		t.detail("%v", err)
		return
	}
	t.detail("the process has %d MiB of writable memory, by a resource limit", data>>20)
}

func percent(n int64) string {
	if n <= 0 {
		return "all"
	}
	return fmt.Sprintf("%d%%", n)
}

package preempt_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/preempt"
)

// kernels are the exports of testdata/kernels.wasm, with an argument that takes a
// few milliseconds.
var kernels = []struct {
	name string
	n    uint64
}{{"sha256", 10000}, {"matrix", 20}, {"sort", 8}, {"json", 60}, {"fib", 27}, {"sieve", 60}, {"callbacks", 2000000}, {"strlens", 400000}}

// BenchmarkCost prints what the checks cost, against the original, in interleaved
// runs: the medians of the time and the time between two yields.
func BenchmarkCost(b *testing.B) {
	src := read(b, "testdata/kernels.wasm")
	variants := []struct {
		name string
		wasm []byte
	}{
		{"original", src},
		{"rewritten", rewrite(b, src, preempt.Options{})},
	}
	hosts := make([]*host, len(variants))
	mods := make([]api.Module, len(variants))
	for i, v := range variants {
		hosts[i] = newHost(b, 0)
		mods[i] = hosts[i].instance(b, v.wasm, "")
	}
	const rounds = 25
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	over := make([][]float64, len(variants))
	for _, k := range kernels {
		times := make([][]time.Duration, len(variants))
		for range rounds {
			var want uint64
			for i, m := range mods {
				hosts[i].yields = 0
				stack := []uint64{k.n}
				start := cpuTime()
				if err := m.ExportedFunction(k.name).CallWithStack(b.Context(), stack); err != nil {
					b.Fatal(err)
				}
				times[i] = append(times[i], cpuTime()-start)
				if i == 0 {
					want = stack[0]
				} else if stack[0] != want {
					b.Fatalf("%s %s: got %d, want %d", k.name, variants[i].name, stack[0], want)
				}
			}
		}
		var base float64
		for i, v := range variants {
			slices.Sort(times[i])
			m := times[i][0]
			if i == 0 {
				base = float64(m)
				b.Logf("%-10s %-12s %8v", k.name, v.name, m.Round(time.Microsecond))
				continue
			}
			over[i] = append(over[i], 100*(float64(m)/base-1))
			b.Logf("%-10s %-12s %8v %+6.1f %%, a yield every %v", k.name, v.name, m.Round(time.Microsecond),
				100*(float64(m)/base-1), (m / time.Duration(max(hosts[i].yields, 1))).Round(time.Microsecond))
		}
	}
	for i, v := range variants[1:] {
		slices.Sort(over[i+1])
		b.ReportMetric((over[i+1][len(kernels)/2]+over[i+1][(len(kernels)-1)/2])/2, "%median-"+v.name)
	}
	b.ReportMetric(0, "ns/op")
}

// cpuTime is what this thread has used.
func cpuTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

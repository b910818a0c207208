package kernel

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// maxCPUs is far above what any kernel is built for.
const maxCPUs = 1 << 16

// PossibleCPUs is the number of CPUs that this machine can ever have: the number of values in an entry of a per-CPU map.
func PossibleCPUs() (int, error) {
	cpus, err := cpuList("/sys/devices/system/cpu/possible")
	if err != nil {
		return 0, err
	}
	return cpus[len(cpus)-1] + 1, nil
}

// OnlineCPUs lists the CPUs that run now, ascending.
func OnlineCPUs() ([]int, error) { return cpuList("/sys/devices/system/cpu/online") }

func cpuList(file string) ([]int, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("list CPUs: %w", err)
	}
	cpus, err := parseCPUList(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("list CPUs: %s: %w", file, err)
	}
	return cpus, nil
}

// parseCPUList reads "0-3,8".
func parseCPUList(s string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(lo)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(hi)
		}
		if err != nil || first < 0 || last < first || last >= maxCPUs {
			return nil, fmt.Errorf("not a list of CPUs: %q", s)
		}
		for c := first; c <= last; c++ {
			cpus = append(cpus, c)
		}
	}
	return cpus, nil
}

package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// perfEvent is an event that has a name.
type perfEvent struct {
	name        string
	typ, config uint64
}

// perfNames are the events that have names, as perf(1) calls them.
var perfNames = []perfEvent{
	{"cpu-clock", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_CLOCK},
	{"task-clock", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_TASK_CLOCK},
	{"page-faults", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS},
	{"context-switches", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES},
	{"cpu-migrations", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_MIGRATIONS},
	{"minor-faults", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS_MIN},
	{"major-faults", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ},
	{"cpu-cycles", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES},
	{"instructions", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_INSTRUCTIONS},
	{"cache-references", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_REFERENCES},
	{"cache-misses", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_MISSES},
	{"branches", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
	{"branch-misses", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_MISSES},
	{"bus-cycles", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BUS_CYCLES},
	{"stalled-cycles-frontend", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
	{"stalled-cycles-backend", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
	{"ref-cycles", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_REF_CPU_CYCLES},
}

// perfAttr is the event and how often a sample is taken of it.
func perfAttr(t Target) (unix.PerfEventAttr, error) {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK}
	if t.Perf || t.PerfType != 0 || t.PerfConfig != 0 {
		attr.Type, attr.Config = uint32(t.PerfType), t.PerfConfig
	}
	switch {
	case t.PerfType > math.MaxUint32:
		return attr, badTarget("%d is no type of perf events", t.PerfType)
	case t.Period != 0 && t.Frequency != 0:
		return attr, badTarget("a frequency and a period are given; want one")
	case t.Period > math.MaxInt64:
		return attr, badTarget("%d is no period", t.Period)
	case t.Period != 0:
		attr.Sample = t.Period
	case t.PerfType == unix.PERF_TYPE_TRACEPOINT:
		attr.Sample = 1 // each one
	default:
		attr.Sample, attr.Bits = cmp.Or(t.Frequency, defaultFrequency), unix.PerfBitFreq
	}
	return attr, nil
}

// perfName names the event and the frequency for people: "99 Hz", "cache-misses/1000@4711".
func perfName(t Target) string {
	event := ""
	if t.Perf || t.PerfType != 0 || t.PerfConfig != 0 {
		event = eventName(uint32(t.PerfType), t.PerfConfig)
	}
	switch {
	case t.Period != 0:
		return fmt.Sprintf("%s/%d", cmp.Or(event, "cpu-clock"), t.Period)
	case event != "":
		return fmt.Sprintf("%s:%d Hz", event, cmp.Or(t.Frequency, defaultFrequency))
	}
	return fmt.Sprintf("%d Hz", cmp.Or(t.Frequency, defaultFrequency))
}

func eventName(typ uint32, config uint64) string {
	for _, n := range perfNames {
		if n.typ == uint64(typ) && n.config == config {
			return n.name
		}
	}
	kind := map[uint32]string{unix.PERF_TYPE_HW_CACHE: "cache", unix.PERF_TYPE_RAW: "raw", unix.PERF_TYPE_TRACEPOINT: "tracepoint"}[typ]
	return fmt.Sprintf("%s:%#x", cmp.Or(kind, fmt.Sprintf("type %d", typ)), config)
}

// perfOpenError explains why an event cannot be opened.
func perfOpenError(attr *unix.PerfEventAttr, err error) error {
	switch {
	case attr.Sample == 0: // a place in code
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV) && attr.Type != unix.PERF_TYPE_SOFTWARE, errors.Is(err, unix.EOPNOTSUPP):
		return &UnsupportedError{
			Feature: "perf event " + eventName(attr.Type, attr.Config), Reason: "this machine does not count it",
			Need: "a CPU (or a virtual machine) with such a counter; cpu-clock is on every machine", Cause: err,
		}
	case errors.Is(err, unix.EINVAL) && attr.Bits&unix.PerfBitFreq != 0:
		limit, readErr := os.ReadFile("/proc/sys/kernel/perf_event_max_sample_rate")
		if readErr == nil {
			return badTarget("%d samples per second of %s: more than kernel.perf_event_max_sample_rate (%s) allows, or an event that has no "+
				"frequency: %w", attr.Sample, eventName(attr.Type, attr.Config), strings.TrimSpace(string(limit)), err)
		}
		return badTarget("%d samples per second are more than kernel.perf_event_max_sample_rate allows: %w", attr.Sample, err)
	case errors.Is(err, unix.EINVAL):
		return badTarget("the kernel does not take event %s with a sample at each %d: %w", eventName(attr.Type, attr.Config), attr.Sample, err)
	}
	return perfRefused(err)
}

// eventOfName finds an event by its name.
func eventOfName(name string) (typ, config uint64, ok bool) {
	i := slices.IndexFunc(perfNames, func(n perfEvent) bool { return n.name == name })
	if i < 0 {
		return 0, 0, false
	}
	return perfNames[i].typ, perfNames[i].config, true
}

package bpf

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// perfKinds are kinds of events whose number is given.
var perfKinds = map[string]uint64{
	"hardware": unix.PERF_TYPE_HARDWARE, "software": unix.PERF_TYPE_SOFTWARE, "cache": unix.PERF_TYPE_HW_CACHE, "raw": unix.PERF_TYPE_RAW,
}

// parsePerfEvent reads "[EVENT][:FREQUENCY][@PID]" and "[EVENT]/PERIOD[@PID]", where an event is a name or "KIND:NUMBER".
func parsePerfEvent(s string) (Target, error) {
	s, pid, err := cutPID(s)
	if err != nil {
		return Target{}, err
	}
	t := Target{PID: pid}
	s, period, hasPeriod := strings.Cut(s, "/")
	if hasPeriod {
		if t.Period, err = strconv.ParseUint(period, 10, 63); err != nil || t.Period == 0 {
			return t, badTarget("%q is no period; want a sample at each how many events, for example page-faults/1", short(period))
		}
	}
	parts := strings.Split(s, ":")
	if _, err := strconv.ParseUint(parts[0], 10, 64); err != nil && parts[0] != "" {
		if parts, err = t.parseEvent(parts); err != nil {
			return t, err
		}
	}
	switch {
	case len(parts) == 0 || len(parts) == 1 && parts[0] == "":
		return t, nil
	case len(parts) > 1 || hasPeriod:
		return t, badTarget("more than an event and a frequency or a period; want for example cache-misses:99 or page-faults/1")
	}
	n, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil || n == 0 {
		return t, badTarget("%q is no frequency; want samples per second, for example 99", short(parts[0]))
	}
	t.Frequency = n
	return t, nil
}

// parseEvent takes an event off the front.
func (t *Target) parseEvent(parts []string) ([]string, error) {
	if typ, config, ok := eventOfName(parts[0]); ok {
		t.PerfType, t.PerfConfig, t.Perf = typ, config, true
		return parts[1:], nil
	}
	typ, ok := perfKinds[parts[0]]
	if !ok || len(parts) < 2 {
		var names []string
		for _, n := range perfNames {
			names = append(names, n.name)
		}
		return nil, badTarget("no event %q; want a number of samples per second, raw:0x1c2, or one of %s", short(parts[0]), strings.Join(names, ", "))
	}
	config, err := strconv.ParseUint(parts[1], 0, 64)
	if err != nil {
		return nil, badTarget("%q is no number of an event; want for example raw:0x1c2", short(parts[1]))
	}
	t.PerfType, t.PerfConfig, t.Perf = typ, config, true
	return parts[2:], nil
}

// parseIter reads what an iterator walks over: a map, a process, a thread or a cgroup.
func parseIter(s string) (Target, error) {
	number := func(text string) (int, error) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n <= 0 {
			return 0, badTarget("%q is no process id", short(text))
		}
		return int(n), nil
	}
	var t Target
	var err error
	switch {
	case s[0] == '@':
		t.PID, err = number(s[1:])
	case s[0] == '#':
		t.TID, err = number(s[1:])
	case strings.HasPrefix(s, "cgroup:"):
		t.Cgroup = strings.TrimPrefix(s, "cgroup:")
		for _, o := range []CgroupOrder{CgroupDescendantsPost, CgroupAncestors, CgroupSelf} {
			if path, ok := strings.CutSuffix(t.Cgroup, ":"+string(o)); ok {
				t.Cgroup, t.Order = path, o
				break
			}
		}
		if t.Cgroup == "" {
			err = badTarget("no cgroup after \"cgroup:\"; \".\" is the root")
		}
	default:
		t.MapName = s
	}
	return t, err
}

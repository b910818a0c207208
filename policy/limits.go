package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Limits are what one plugin may use. A zero means the default, which suits a box with 512 MB; [None] means no limit, where it is allowed.
type Limits struct {
	// Memory is the linear memory of the guest in bytes, Table the elements of its tables, Instances how many instances run at a time.
	Memory, Table, Instances int64
	// MapMemory is the kernel memory of its maps in bytes.
	MapMemory int64
	// Programs and Links are how many of each may be in the kernel, Rings how many ring buffers and perf arrays may have a reader, Files
	// how many descriptors the plugin may make the host's process hold, Handles how many handles it may have.
	Programs, Links, Rings, Files, Handles int64
	// LogLines is how many lines a second it may write to standard error.
	LogLines int64
	// CPUPerCall is how much CPU time the guest may take between two calls of the host.
	CPUPerCall time.Duration
	// CPUShare is how much of one CPU it may take over time, in percent.
	CPUShare int64
	// WallTime is how long it may run.
	WallTime time.Duration
}

// None means no limit.
const None = -1

// DefaultLimits are what is in place of zeros. A box with 512 MB runs four such plugins at their limits.
func DefaultLimits() Limits {
	return Limits{
		Memory: 64 << 20, Table: 64 << 10, Instances: 4, MapMemory: 32 << 20,
		Programs: 64, Links: 256, Rings: 16, Files: 512, Handles: 1024,
		LogLines: 1000, CPUPerCall: 10 * time.Second, CPUShare: 100, WallTime: None,
	}
}

// limit is one field of Limits: its name in a policy and what its values look like.
type limit struct {
	name  string
	unit  unit
	most  int64
	count func(*Limits) *int64
	time  func(*Limits) *time.Duration
}

type unit uint8

const (
	counts unit = iota
	bytesUnit
	timeUnit
	percent
)

// limitTable has every field. What has a most cannot be without limit: it would take the host with it.
var limitTable = [...]limit{
	{name: "memory", unit: bytesUnit, most: 4 << 30, count: func(l *Limits) *int64 { return &l.Memory }},
	{name: "table", most: 1 << 20, count: func(l *Limits) *int64 { return &l.Table }},
	{name: "instances", most: 10_000, count: func(l *Limits) *int64 { return &l.Instances }},
	{name: "map-memory", unit: bytesUnit, most: 1 << 40, count: func(l *Limits) *int64 { return &l.MapMemory }},
	{name: "programs", most: 100_000, count: func(l *Limits) *int64 { return &l.Programs }},
	{name: "links", most: 1_000_000, count: func(l *Limits) *int64 { return &l.Links }},
	{name: "rings", most: 10_000, count: func(l *Limits) *int64 { return &l.Rings }},
	{name: "files", most: 1_000_000, count: func(l *Limits) *int64 { return &l.Files }},
	{name: "handles", most: 65_536, count: func(l *Limits) *int64 { return &l.Handles }},
	{name: "log-lines", count: func(l *Limits) *int64 { return &l.LogLines }},
	{name: "cpu-per-call", unit: timeUnit, time: func(l *Limits) *time.Duration { return &l.CPUPerCall }},
	{name: "cpu-share", unit: percent, count: func(l *Limits) *int64 { return &l.CPUShare }},
	{name: "wall-time", unit: timeUnit, time: func(l *Limits) *time.Duration { return &l.WallTime }},
}

func (t *limit) get(l *Limits) int64 {
	if t.time != nil {
		return int64(*t.time(l))
	}
	return *t.count(l)
}

func (t *limit) put(l *Limits, v int64) {
	if t.time != nil {
		*t.time(l) = time.Duration(v)
		return
	}
	*t.count(l) = v
}

// With answers l with what is set in over in its place.
func (l Limits) With(over Limits) Limits {
	for i := range limitTable {
		if v := limitTable[i].get(&over); v != 0 {
			limitTable[i].put(&l, v)
		}
	}
	return l
}

func (l Limits) filled() Limits { return DefaultLimits().With(l) }

// lowered answers l with what a manifest wishes, where that is less: a plugin cannot give itself more.
func (l Limits) lowered(wish Limits) Limits {
	l = l.filled()
	for i := range limitTable {
		t := &limitTable[i]
		has, want := t.get(&l), t.get(&wish)
		if want > 0 && (has == None || want < has) {
			t.put(&l, want)
		}
	}
	return l
}

// Set sets one limit from text, as a policy and the command line write it: "memory", "64M".
func (l *Limits) Set(name, value string) error {
	for i := range limitTable {
		if t := &limitTable[i]; t.name == name {
			v, err := t.parse(value)
			if err != nil {
				return fmt.Errorf("limit %s: %w", name, err)
			}
			t.put(l, v)
			return nil
		}
	}
	return fmt.Errorf("there is no limit %q%s", short(name), closest(name, limitNames()))
}

func limitNames() []string {
	var names []string
	for i := range limitTable {
		names = append(names, limitTable[i].name)
	}
	return names
}

// Text answers every limit that is set, by name, in the order of the documentation.
func (l Limits) Text() [][2]string {
	var out [][2]string
	for i := range limitTable {
		if t := &limitTable[i]; t.get(&l) != 0 {
			out = append(out, [2]string{t.name, t.format(t.get(&l))})
		}
	}
	return out
}

func (t *limit) parse(s string) (int64, error) {
	if s == "none" {
		if t.most > 0 {
			return 0, fmt.Errorf("cannot be without limit; at most %s", t.format(t.most))
		}
		return None, nil
	}
	v, err := t.parseUnit(s)
	switch {
	case err != nil:
		return 0, err
	case v <= 0:
		return 0, fmt.Errorf("%q is not more than 0", short(s))
	case t.most > 0 && v > t.most:
		return 0, fmt.Errorf("%q is more than %s", short(s), t.format(t.most))
	}
	return v, nil
}

func (t *limit) parseUnit(s string) (int64, error) {
	switch t.unit {
	case bytesUnit:
		return parseSize(s)
	case timeUnit:
		d, err := time.ParseDuration(s)
		if err != nil || len(s) > 64 {
			return 0, fmt.Errorf("%q is no duration; for example %q", short(s), "10s")
		}
		return int64(d), nil
	case percent:
		s, _ = strings.CutSuffix(s, "%")
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", short(s))
	}
	return v, nil
}

const sizeUnits = "KMGT"

func parseSize(s string) (int64, error) {
	digits, shift := s, 0
	if n := len(s); n > 0 {
		if i := strings.IndexByte(sizeUnits, s[n-1]); i >= 0 {
			digits, shift = s[:n-1], 10*(i+1)
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 0 || v > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no size; for example %q or %q, in steps of 1024", short(s), "64M", "512K")
	}
	return v << shift, nil
}

func (t *limit) format(v int64) string {
	if v == None {
		return "none"
	}
	switch t.unit {
	case timeUnit:
		return time.Duration(v).String()
	case percent:
		return strconv.FormatInt(v, 10) + "%"
	case bytesUnit:
		return FormatSize(v)
	}
	return strconv.FormatInt(v, 10)
}

// FormatSize writes a number of bytes as limits have it, such as "64M", in the largest unit that is exact.
func FormatSize(v int64) string {
	i := -1
	for v%1024 == 0 && v > 0 && i < len(sizeUnits)-1 {
		v, i = v/1024, i+1
	}
	if i < 0 {
		return strconv.FormatInt(v, 10)
	}
	return strconv.FormatInt(v, 10) + sizeUnits[i:i+1]
}

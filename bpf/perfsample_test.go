package bpf

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Page faults happen when memory is touched for the first time, and not at some time.
func TestSamplesAreTakenOfAnEvent(t *testing.T) {
	o, p := loadHook(t, "trace", "sample")
	for _, text := range []string{"page-faults/1", "minor-faults/1"} {
		target, err := ParseTarget(HookPerfEvent, text)
		if err != nil {
			t.Fatal(err)
		}
		target.PID = os.Getpid()
		l := mustAttach(t, p, target)
		before := hits(t, o)
		mem, err := unix.Mmap(-1, 0, 64*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
		for i := 0; i < len(mem); i += os.Getpagesize() {
			mem[i] = 1
		}
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
		if got := hits(t, o) - before; got < 64 {
			t.Errorf("%s: got %d samples of 64 faults", text, got)
		}
		if want := fmt.Sprintf("%s@%d", text, os.Getpid()); l.Target() != want {
			t.Errorf("got target %q, want %q", l.Target(), want)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEventsThatTheMachineLacksAreNamed(t *testing.T) {
	o, p := loadHook(t, "trace", "sample")
	l, err := o.Attach(p, Target{PerfType: unix.PERF_TYPE_HARDWARE, PerfConfig: unix.PERF_COUNT_HW_CACHE_MISSES, Period: 1_000_000})
	if err == nil { // a machine that has it
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	} else {
		wantError(t, err, ErrUnsupported, "cache-misses", "does not count it")
	}
	for _, target := range []Target{
		{PerfType: 1 << 40}, {Period: 1, Frequency: 1}, {Period: 1 << 63}, {Perf: true, PerfType: unix.PERF_TYPE_SOFTWARE, PerfConfig: 999},
		{Frequency: 1 << 40},
	} {
		_, err := o.Attach(p, target)
		if err == nil || !errors.Is(err, ErrTarget) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%+v: got %v", target, err)
		}
	}
}

package runtime

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

const (
	// maxTick and minTick are how often the CPU clock of a guest's thread is read.
	// Reading it is a system call; in between, a yield only looks at the time.
	maxTick = 10 * time.Millisecond
	minTick = time.Millisecond
	// sharePeriod is the time over which a share of a CPU is saved up: a guest that slept
	// may take this time's worth at once, as with the CPU controller of cgroups.
	sharePeriod = 100 * time.Millisecond
)

// cpuMeter holds a guest to its CPU time. It is used on the goroutine of the guest
// alone, which is locked to its thread.
type cpuMeter struct {
	perCall time.Duration // 0 means no limit
	share   int64         // percent, 0 means no limit
	tick    time.Duration
	stop    <-chan struct{}

	start  time.Time
	first  time.Duration // the thread's CPU time at the start
	next   time.Duration // since start: when to read the CPU clock again
	yields uint64        // which are crossings, but none that the guest asked for

	seen      time.Duration // since start: when the CPU clock was last read
	cpu       time.Duration // what it said
	crossings uint64        // without yields, at that time
	alone     time.Duration // CPU time since the last crossing, as far as it was read
	tokens    time.Duration // CPU time that the share still gives
	slept     time.Duration
}

func newCPUMeter(ctx context.Context, cfg *Config) *cpuMeter {
	m := &cpuMeter{perCall: cfg.CPUPerCall, stop: ctx.Done(), tick: maxTick}
	if cfg.CPUPerCall > 0 {
		m.tick = max(minTick, min(m.tick, cfg.CPUPerCall/16))
	}
	if cfg.CPUShare > 0 && cfg.CPUShare < 100 {
		m.share, m.tick = int64(cfg.CPUShare), minTick
		m.tokens = m.given(sharePeriod)
	}
	return m
}

// given is the CPU time that the share gives in some time.
func (m *cpuMeter) given(d time.Duration) time.Duration {
	return d / 100 * time.Duration(m.share)
}

// begin starts the clocks, on the thread of the guest.
func (m *cpuMeter) begin() {
	m.start, m.first = time.Now(), threadCPU()
	m.cpu, m.next = m.first, m.tick
}

// end answers the CPU time, and how long the guest slept for its share.
func (m *cpuMeter) end() (cpu, slept time.Duration) { return threadCPU() - m.first, m.slept }

// yield is called when the guest has been at work for a while. It ends a guest
// that has been for too long, and lets one that took more than its share sleep.
func (m *cpuMeter) yield(in engine.Instance) error {
	m.yields++
	now := time.Since(m.start)
	if now < m.next {
		return nil
	}
	m.look(now)
	if c := in.Crossings() - m.yields; c != m.crossings {
		m.crossings, m.alone = c, 0
	}
	if m.perCall > 0 && m.alone >= m.perCall {
		return &engine.LimitError{
			Limit: "cpu-per-call", Value: m.perCall.String(),
			What: fmt.Sprintf("used %s of CPU without calling the host", m.perCall),
		}
	}
	return nil
}

// look reads the CPU clock, and sleeps as long as more than the share was taken.
func (m *cpuMeter) look(now time.Duration) {
	cpu := threadCPU()
	spent, elapsed := cpu-m.cpu, now-m.seen
	m.cpu, m.seen = cpu, now
	m.next = now + m.tick
	m.alone += spent
	if m.share == 0 {
		return
	}
	m.tokens = min(m.tokens+m.given(elapsed), m.given(sharePeriod)) - spent
	if m.tokens >= 0 {
		return
	}
	t := time.NewTimer(-m.tokens * 100 / time.Duration(m.share))
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.stop:
	}
	m.slept += time.Since(m.start) - now
}

// throttled makes a host function that has the guest sleep after it, as far as that took more
// than the share. Without a share it is the same function.
func (m *cpuMeter) throttled(f engine.HostFunc) engine.HostFunc {
	if m.share == 0 {
		return f
	}
	call := f.Call
	f.Call = func(ctx context.Context, in engine.Instance, stack []uint64) error {
		err := call(ctx, in, stack)
		if now := time.Since(m.start); now >= m.next {
			m.look(now)
		}
		return err
	}
	return f
}

// threadCPU is the CPU time of the calling thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

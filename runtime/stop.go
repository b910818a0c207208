package runtime

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// closing is how long the kernel may take to give up what a plugin had open.
const closing = 10 * time.Second

// starving is how often a plugin is waited for that is to end and that the machine does not let run.
const starving = 10

// stop waits until the run has ended: for the grace time by itself, then by
// force. It answers false when the plugin does not come back even so.
func (r *run) stop(cause error, done <-chan struct{}) bool {
	if within(r.cfg.Grace, done) {
		return true
	}
	r.killed.Store(&cause)
	before, window := r.onCPU(), r.cfg.Grace/2+100*time.Millisecond
	patience := time.Now().Add(closing)
	for n := 0; n < starving; {
		if within(window, done) {
			return true
		}
		switch {
		case r.left.Load():
			return within(closing, done) // the plugin is gone, and the kernel may take its time on a busy machine
		case r.closing.Load() > 0 && time.Now().Before(patience): // and so it may before
		case !r.runnable() || r.onCPU()-before >= window/2:
			return false
		default:
			n++
		}
	}
	return false
}

// closes notes that the host closes something for the guest.
func (r *run) closes() (done func()) {
	r.closing.Add(1)
	return func() { r.closing.Add(-1) }
}

// within reports whether done is closed in that time.
func within(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// runnable reports whether the thread of the guest runs or waits for a CPU, and for nothing else.
func (r *run) runnable() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", r.thread.Load()))
	i := bytes.LastIndex(stat, []byte(") ")) // the name before it may hold anything
	return err == nil && i >= 0 && bytes.HasPrefix(stat[i+2:], []byte("R"))
}

// onCPU is the CPU time of the guest's thread, 0 if there is none; clock_getcpuclockid(3) makes such ids.
func (r *run) onCPU() time.Duration {
	const perThread, scheduled = 4, 2
	var ts unix.Timespec
	id := r.thread.Load()
	if id == 0 || unix.ClockGettime(^id<<3|perThread|scheduled, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

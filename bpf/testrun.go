package bpf

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// TestRun is one test run of a program: what goes in, and what comes out of it. The slices belong to the caller and may lie
// anywhere in memory, also outside the Go heap; Data and Context are only read.
type TestRun struct {
	// Data is the packet. Types that take packets need at least 14 bytes, those without a packet want none.
	Data []byte
	// Context is the program's context, such as struct __sk_buff or struct xdp_md; for a tracing program its arguments. Types that
	// take none refuse it.
	Context []byte
	// DataOut and ContextOut get packet and context as the last run left them, as far as they fit. An empty one gets nothing.
	DataOut, ContextOut []byte
	// Repeat is how often the program runs on the same packet. Zero means once.
	Repeat uint32
	// CPU is where a raw_tracepoint program runs if Flags has BPF_F_TEST_RUN_ON_CPU (1).
	CPU uint32
	// Flags are the kernel's BPF_F_TEST_* flags.
	Flags uint32
	// LiveFrames sends the packets for real, as the program's verdict says: xdp only. Requires at least Linux 5.18. Nothing comes
	// out then. Batch is how many are sent at once; zero means 64.
	LiveFrames bool
	Batch      uint32

	// Return is what the last run returned.
	Return uint32
	// Duration is the mean time of one run.
	Duration time.Duration
	// DataSize and ContextSize are how many bytes packet and context had after the last run, which may be more than fit.
	DataSize, ContextSize int
}

// testRunAttr is the part of union bpf_attr that BPF_PROG_TEST_RUN uses.
type testRunAttr struct {
	prog, ret               uint32
	dataIn, dataOut         uint32 // sizes
	data, dataTo            userPointer
	repeat, duration        uint32
	contextIn, contextOut   uint32
	context, contextTo      userPointer
	flags, cpu, batch, zero uint32
}

// maxTestData bounds what the kernel is asked to copy. It takes packets of at most some pages.
const maxTestData = 1 << 30

// TestRun runs the program on a packet or context of the caller's, as often as he wants, and fills in what comes out. If DataOut or
// ContextOut is too short the error matches [ErrSize] and unwraps to ENOSPC, what fits is there, and the sizes say what is needed.
// When ctx ends, the run that is going on is finished and the error is ctx's cause. Types of programs that cannot be run this way
// give an error that matches [ErrUnsupported]. Requires at least Linux 4.12, for most types later.
func (p *Program) TestRun(ctx context.Context, r *TestRun) error {
	if !p.enter() {
		return p.closedError("test run")
	}
	defer p.leave()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("test run of program %s: %w", p.name, err)
	}
	for _, b := range [][]byte{r.Data, r.Context, r.DataOut, r.ContextOut} {
		if len(b) > maxTestData {
			return fmt.Errorf("test run of program %s: %w: %d bytes are too many", p.name, ErrSize, len(b))
		}
	}
	attr, back := p.testRunAttr(r)
	err := testRun(ctx, attr)
	if err != nil && !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("test run of program %s: %w", p.name, p.testRunError(r, err))
	}
	r.Return, r.Duration = attr.ret, time.Duration(attr.duration)
	r.DataSize, r.ContextSize = int(attr.dataOut), int(attr.contextOut)
	if back != nil {
		r.ContextSize = len(back)
		if copy(r.ContextOut, back) < len(back) && len(r.ContextOut) > 0 {
			err = unix.ENOSPC
		}
	}
	if err != nil {
		return fmt.Errorf("test run of program %s: %w: %w: it gives %d bytes of data and %d of context",
			p.name, ErrSize, unix.ENOSPC, r.DataSize, r.ContextSize)
	}
	return nil
}

// testRunAttr is what the kernel is asked. Programs of type syscall change their context in place: back is a copy for them.
func (p *Program) testRunAttr(r *TestRun) (attr *testRunAttr, back []byte) {
	attr = &testRunAttr{
		prog: uint32(p.fd), dataIn: uint32(len(r.Data)), repeat: r.Repeat, flags: r.Flags, cpu: r.CPU, batch: r.Batch,
		contextIn: uint32(len(r.Context)),
	}
	if r.LiveFrames {
		attr.flags |= unix.BPF_F_TEST_XDP_LIVE_FRAMES
	}
	// With a pointer and no size the kernel writes as much as it has, so that an empty slice must be no pointer.
	set := func(to *userPointer, size *uint32, b []byte) {
		if len(b) > 0 {
			to.ptr, *size = unsafe.Pointer(&b[0]), uint32(len(b))
		}
	}
	context := r.Context
	if p.Type() == ebpf.Syscall && len(context) > 0 {
		back = append(back, context...)
		context = back
	} else {
		set(&attr.contextTo, &attr.contextOut, r.ContextOut)
	}
	set(&attr.data, &attr.dataIn, r.Data)
	set(&attr.dataTo, &attr.dataOut, r.DataOut)
	set(&attr.context, &attr.contextIn, context)
	return attr, back
}

// testRun makes the call again for as long as something else than ctx interrupts it. The kernel stops between two runs of the
// program when its thread gets a signal, and forgets what it has done, so that is what the end of ctx sends. Other signals, such as
// those of a profiler, are kept off meanwhile, for else a long repetition would never end.
func testRun(ctx context.Context, attr *testRunAttr) error {
	before := *attr
	if ctx.Done() != nil {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer keepSignalsOff()()
		defer interruptThread(ctx)()
	}
	for {
		_, err := bpfCall(unix.BPF_PROG_TEST_RUN, unsafe.Pointer(attr), unsafe.Sizeof(*attr))
		if err != unix.EINTR && err != unix.EAGAIN {
			return err
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if err == unix.EINTR && attr.repeat <= 1 {
			return nil // before Linux 5.14 the signal was looked at after the run
		}
		*attr = before
	}
}

// keepSignalsOff blocks the signals of the calling thread until the returned function was called, but for those that the Go runtime and
// the C library cannot do without.
func keepSignalsOff() func() {
	const perThread, cancel = 33, 32 // of system calls that all threads make, of both
	var set, old unix.Sigset_t
	for i := range set.Val {
		set.Val[i] = ^set.Val[i]
	}
	word := int(unsafe.Sizeof(set.Val[0])) * 8
	for _, s := range []unix.Signal{unix.SIGURG, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, unix.SIGABRT, perThread, cancel} {
		set.Val[(int(s)-1)/word] &^= 1 << ((int(s) - 1) % word)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &set, &old); err != nil {
		return func() {}
	}
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }
}

// interruptThread sends the calling thread signals once ctx is done, until the returned function was called: again and again, for
// the first may come before the system call has begun. It is SIGURG, which the Go runtime uses for itself and ignores otherwise.
func interruptThread(ctx context.Context) func() {
	pid, tid := unix.Getpid(), unix.Gettid()
	done, ended := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		for {
			_ = unix.Tgkill(pid, tid, unix.SIGURG)
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return func() {
		close(done)
		if !stop() {
			<-ended
		}
	}
}

// testRunError says what the kernel cannot run.
func (p *Program) testRunError(r *TestRun, err error) error {
	switch {
	case errors.Is(err, enotsupp), errors.Is(err, unix.EOPNOTSUPP):
		return &UnsupportedError{
			Feature: "test run of a program of type " + p.Type().String(), Need: "a type that can be run by itself, such as XDP or SchedCLS", Cause: err,
		}
	case r.LiveFrames && errors.Is(err, unix.EINVAL) && tooOld(kernel.Version{Major: 5, Minor: 18}):
		return &UnsupportedError{Feature: "live XDP frames", Need: "Linux 5.18", Cause: err}
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: packet, context, repetition or flags do not fit a program of type %s", err, p.Type())
	}
	return err
}

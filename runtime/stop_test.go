package runtime

import (
	"context"
	"errors"
	goruntime "runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// slow is an engine that takes as long to compile as the test wants: no module does so on every machine.
type slow struct {
	engine.Engine
	release, closed chan struct{}
}

func (s slow) Compile(context.Context, []byte) (engine.Module, error) {
	<-s.release
	return slowModule{closed: s.closed}, nil
}

type slowModule struct {
	engine.Module
	closed chan struct{}
}

func (m slowModule) Close() error {
	close(m.closed)
	return nil
}

func TestCompilingIsGivenUp(t *testing.T) {
	e := slow{release: make(chan struct{}), closed: make(chan struct{})}
	rt, err := New(Options{Engine: e})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := rt.Load(ctx, "m", []byte("\x00asm\x01\x00\x00\x00")); !errors.Is(err, ErrStuck) {
		t.Errorf("load: %v, want ErrStuck", err)
	}
	close(e.release)
	<-e.closed // what comes late is closed
}

// A thread that works is told from one that waits: only the first is waited for when it must end.
func TestAStarvedThreadIsToldFromAStuckOne(t *testing.T) {
	var r run
	if r.onCPU() != 0 || r.runnable() {
		t.Error("a run without a thread is on a CPU")
	}
	quit, at, asleep := make(chan struct{}), make(chan int32), make(chan struct{})
	defer close(quit)
	go func() {
		goruntime.LockOSThread() // it ends with the goroutine
		at <- int32(unix.Gettid())
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		}
		at <- 0
		<-asleep
		<-quit
	}()
	r.thread.Store(<-at)
	before := r.onCPU()
	works := false
	for done := false; !done; {
		select {
		case <-at:
			done = true
		default:
			works = works || r.runnable()
		}
	}
	if spent := r.onCPU() - before; !works || spent <= 0 {
		t.Errorf("a thread that works: runnable %t, CPU time %s", works, spent)
	}
	close(asleep)
	for end := time.Now().Add(10 * time.Second); r.runnable(); {
		if time.Now().After(end) {
			t.Fatal("a thread that waits is runnable")
		}
		goruntime.Gosched()
	}
}

// What the kernel takes its time to close for a guest is no reason to give that up.
func TestAGuestThatClosesIsWaitedFor(t *testing.T) {
	r := run{cfg: Config{Grace: time.Millisecond}}
	closed := r.closes()
	done, stopped := make(chan struct{}), make(chan bool)
	go func() { stopped <- r.stop(context.Canceled, done) }()
	for r.killed.Load() == nil {
		goruntime.Gosched()
	}
	select {
	case <-stopped:
		t.Fatal("given up while it closes")
	case <-time.After(3 * 101 * time.Millisecond): // three of the times that a guest that does nothing has
	}
	close(done)
	if !<-stopped {
		t.Error("given up although it ended")
	}
	closed()
	if r.stop(context.Canceled, make(chan struct{})) {
		t.Error("one that does not end has ended")
	}
}

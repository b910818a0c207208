//go:build wasmtime && cgo

package wasmtime

// #include <stdint.h>
// #include <stddef.h>
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// live finds the Go side of an instance for the C side, which must hold no
// Go pointers. It is the one variable of the package, because the callback that
// C knows is one function.
var live registry

// registry hands out small numbers for instances. Look-ups take no lock.
type registry struct {
	slots atomic.Pointer[[]*Instance]

	// mu guards free and changes of slots.
	mu   sync.Mutex
	free []uint64
}

func (r *registry) add(in *Instance) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var slots []*Instance
	if old := r.slots.Load(); old != nil {
		slots = append(slots, *old...)
	}
	var handle uint64
	if n := len(r.free); n > 0 {
		handle, r.free = r.free[n-1], r.free[:n-1]
		slots[handle] = in
	} else {
		handle, slots = uint64(len(slots)), append(slots, in)
	}
	r.slots.Store(&slots)
	return handle
}

func (r *registry) remove(handle uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slots := append([]*Instance(nil), *r.slots.Load()...)
	slots[handle] = nil
	r.free = append(r.free, handle)
	r.slots.Store(&slots)
}

// bowlineHost is where guests enter Go. Anything but 0 unwinds the guest.
//
//export bowlineHost
func bowlineHost(handle C.uint64_t, index C.uint32_t, stack *C.uint64_t, n C.size_t) C.int {
	in := (*live.slots.Load())[handle]
	f := &in.funcs[index]
	if err := in.serve(f, unsafe.Slice((*uint64)(unsafe.Pointer(stack)), n)); err != nil {
		in.pending = err
		return 1
	}
	return 0
}

// serve runs a host function. A panic does not cross the guest's frames: it
// ends here as an error.
func (in *Instance) serve(f *engine.HostFunc, stack []uint64) (err error) {
	returned := false
	defer func() {
		if !returned { // asking this is cheaper than recover
			err = panicked(f, recover())
		}
	}()
	err = f.Call(in.ctx, in, stack)
	returned = true
	if err != nil {
		err = wrap(f, err)
	}
	return err
}

// wrap says which host function ended the guest, but for an exit.
func wrap(f *engine.HostFunc, err error) error {
	if exit := (*engine.ExitError)(nil); errors.As(err, &exit) {
		return err
	}
	return fmt.Errorf("host function %s.%s: %w", f.Module, f.Name, err)
}

// panicked is called while the panic is on the stack. A panic does not cross the
// guest's frames, so it ends there as an error.
func panicked(f *engine.HostFunc, v any) error {
	where := "unknown place"
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for more := true; more; {
		var fr runtime.Frame
		if fr, more = frames.Next(); !strings.HasPrefix(fr.Function, "runtime.") {
			where = fmt.Sprintf("%s:%d", fr.File[strings.LastIndexByte(fr.File, '/')+1:], fr.Line)
			break
		}
	}
	return fmt.Errorf("host function %s.%s panicked at %s, which is a bug in it: %s",
		f.Module, f.Name, where, oneLine(fmt.Sprint(v)))
}

package wasmbpf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/runtime/engine"
)

var callbackType = engine.FuncType{
	Params:  []engine.ValueType{engine.I32, engine.I32, engine.I32},
	Results: []engine.ValueType{engine.I32},
}

// callback hands one record to the guest and answers what it returned.
type callback func(ctx context.Context, data, size uint32) (int32, error)

// poll is wasm_bpf_buffer_poll(object, map, callback, ctx, buf, max, timeout_ms)
// -> count. It waits for records of a ring buffer or perf array, and calls the
// table element callback(ctx, buf, size) -> i32 for each record that is there,
// with the record copied to buf and cut at max bytes. All records are delivered;
// a negative result of the callback stops the delivery and is returned.
// A negative time-out waits without limit, 0 does not wait; an idle poll is 0.
//
// EINVAL: not an object, or not a map with records. EBADFD: not a map of that
// object. EFAULT: buf outside memory, max is 0, or no such callback. EBUSY:
// called from inside the callback for the same map. EINTR: the plugin is being
// stopped, and should end soon.
func (s *instance) poll(ctx context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	fn, err := in.TableFunc(uint32(stack[2]), callbackType)
	if err != nil {
		return s.refuse("poll", unix.EFAULT, "callback %d: %v", uint32(stack[2]), err)
	}
	arg := uint64(uint32(stack[3]))
	var args [3]uint64
	return s.pollWith(ctx, in, stack[0], uint32(stack[1]), stack[4:7], func(ctx context.Context, data, size uint32) (int32, error) {
		args = [3]uint64{arg, uint64(data), uint64(size)}
		err := fn.Call(ctx, args[:])
		return int32(uint32(args[0])), err
	})
}

// exportName is the callback that TinyGo's plugins export, because they cannot
// give a table index.
const exportName = "go-callback"

// pollExport is the form in callback-wrapper: (object, map, ctx, buf, max,
// timeout_ms) -> count, with the export go-callback as the callback. EFAULT:
// there is no such export of that type. Else as [instance.poll].
func (s *instance) pollExport(ctx context.Context, in engine.Instance, stack []uint64) (uint64, error) {
	typ, ok := in.HasExport(exportName)
	plain := engine.FuncType{Params: callbackType.Params}
	if !ok || !typ.Equal(callbackType) && !typ.Equal(plain) {
		return s.refuse("poll", unix.EFAULT, "the plugin does not export %s %s", exportName, callbackType)
	}
	arg := uint64(uint32(stack[2]))
	var args [3]uint64
	return s.pollWith(ctx, in, stack[0], uint32(stack[1]), stack[3:6], func(ctx context.Context, data, size uint32) (int32, error) {
		args = [3]uint64{arg, uint64(data), uint64(size)}
		if err := in.Call(ctx, exportName, typ, args[:]); err != nil || len(typ.Results) == 0 {
			return 0, err
		}
		return int32(uint32(args[0])), nil
	})
}

// errStop ends a drain early; what the guest gets is decided beside it.
var errStop = errors.New("stop")

// pollWith does what both forms share; tail is buf, max, timeout_ms.
func (s *instance) pollWith(ctx context.Context, in engine.Instance, obj uint64, fd uint32, tail []uint64, call callback) (uint64, error) {
	buf, limit, timeout := uint32(tail[0]), uint32(tail[1]), int32(uint32(tail[2]))
	o, ok := s.object(obj)
	if !ok {
		return s.refuse("poll", unix.EINVAL, "%#x is not an open BPF object", obj)
	}
	h, ok := o.mapOf(int32(fd))
	if !ok {
		return s.refuse("poll", unix.EBADFD, "%d is not a map of this BPF object", int32(fd))
	}
	if limit == 0 {
		return s.refuse("poll "+h.m.Name(), unix.EFAULT, "a buffer of 0 bytes holds no record")
	}
	if _, ok := hostfuncs.Bytes(in.Memory(), buf, limit); !ok {
		return s.refuse("poll "+h.m.Name(), unix.EFAULT, "buffer of %d bytes at %#x lies outside the plugin's memory", limit, buf)
	}
	if err := s.openEvents(h); err != nil {
		s.env.Report("poll "+h.m.Name(), err)
		return fail(hostfuncs.Errno(err)), nil
	}
	o.polls++
	result, err := s.deliver(ctx, in, h, buf, limit, timeout, call)
	o.polls--
	if o.closed && o.polls == 0 {
		if cerr := s.finish(o); cerr != nil {
			s.env.Log(cerr.Error())
		}
	} else {
		s.reportLoss(h, time.Now())
	}
	return i32(result), err
}

func (s *instance) openEvents(h *mapHandle) error {
	if h.events != nil {
		return nil
	}
	events, err := s.s.OpenReader(h.m)
	if err != nil {
		return err
	}
	h.events = events
	h.object.rings = append(h.object.rings, h)
	return nil
}

// deliver waits and drains. The error is for the runtime: the guest trapped or
// a nested host call ended it.
func (s *instance) deliver(ctx context.Context, in engine.Instance, h *mapHandle, buf, limit uint32, timeout int32, call callback) (int, error) {
	wait := time.Duration(timeout) * time.Millisecond
	ready, err := h.events.Wait(ctx, wait)
	switch {
	case ctx.Err() != nil:
		return -int(unix.EINTR), nil
	case err != nil:
		s.env.Report("poll "+h.m.Name(), err)
		return -int(hostfuncs.Errno(err)), nil
	case !ready:
		return 0, nil
	}
	var negative int32
	var ended error
	n, err := h.events.Drain(0, func(rec []byte) error {
		mem := in.Memory() // the last callback may have grown it
		size := uint32(min(uint64(len(rec)), uint64(limit)))
		if size < uint32(len(rec)) && !h.cutTold {
			h.cutTold = true
			s.env.Log(fmt.Sprintf("map %s: record of %d bytes cut to the plugin's buffer of %d", h.m.Name(), len(rec), limit))
		}
		copy(mem[buf:], rec[:size])
		r, err := call(ctx, buf, size)
		switch {
		case err != nil:
			ended = err
		case r < 0:
			negative = r
		case !h.object.closed:
			return nil
		}
		return errStop
	})
	switch {
	case ended != nil:
		return 0, ended
	case negative < 0:
		return int(negative), nil
	case err != nil && !errors.Is(err, errStop):
		return -int(hostfuncs.Errno(err)), nil
	}
	return n, nil
}

// lossInterval is how often the loss of one map is told while it goes on.
const lossInterval = time.Second

// reportLoss tells how many records the kernel could not store, if it has become
// more since it was told last. The zero time tells it in any case.
func (s *instance) reportLoss(h *mapHandle, now time.Time) {
	lost := h.events.Lost()
	if lost == h.lost || !now.IsZero() && now.Sub(h.lostTold) < lossInterval {
		return
	}
	s.env.Log(fmt.Sprintf("map %s: lost %d records, %d in all; make the buffer larger or poll more often", h.m.Name(), lost-h.lost, lost))
	h.lost, h.lostTold = lost, now
}

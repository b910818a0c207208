//go:build wasmtime && cgo

package wasmtime

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// view answers n bytes of guest memory at off.
func view(mem []byte, off, n uint64) ([]byte, bool) {
	if off > uint64(len(mem)) || n > uint64(len(mem))-off {
		return nil, false
	}
	return mem[off : off+n : off+n], true
}

// procExit ends the guest with its code.
func procExit(_ context.Context, _ *Instance, stack []uint64) (uint64, error) {
	return 0, &engine.ExitError{Code: uint32(stack[0])}
}

// schedYield lets others run.
func schedYield(context.Context, *Instance, []uint64) (uint64, error) {
	runtime.Gosched()
	return wasiSuccess, nil
}

// fdClose closes a descriptor; a standard stream itself stays open.
func fdClose(ctx context.Context, in *Instance, stack []uint64) (uint64, error) {
	fd := stack[0]
	errno, err := in.handOn(ctx, "fd_close", stack)
	if i, ok := in.wasi.stream(fd); ok && err == nil && errno == wasiSuccess {
		in.wasi.std[i] = -1
	}
	if err == nil && errno == wasiSuccess {
		delete(in.wasi.files, fd)
	}
	return errno, err
}

// pathOpen opens a file or directory, as long as there are not too many.
func pathOpen(ctx context.Context, in *Instance, stack []uint64) (uint64, error) {
	if len(in.wasi.files) >= in.wasi.cfg.FilesLimit() {
		return wasiMfile, nil
	}
	out, ok := view(in.Memory(), stack[8], 4) // first: Wasmtime opens it, and writes its number then
	if !ok {
		return wasiFault, nil
	}
	errno, err := in.handOn(ctx, "path_open", stack)
	if err == nil && errno == wasiSuccess {
		in.wasi.files[uint64(binary.LittleEndian.Uint32(out))] = struct{}{}
	}
	return errno, err
}

// fdRenumber moves a descriptor onto another.
func fdRenumber(ctx context.Context, in *Instance, stack []uint64) (uint64, error) {
	from, to := stack[0], stack[1]
	errno, err := in.handOn(ctx, "fd_renumber", stack)
	if err != nil || errno != wasiSuccess || from == to {
		return errno, err
	}
	if _, ok := in.wasi.files[from]; ok {
		delete(in.wasi.files, from)
		in.wasi.files[to] = struct{}{}
	} else {
		delete(in.wasi.files, to)
	}
	if i, ok := in.wasi.stream(to); ok {
		in.wasi.std[i] = -1
	}
	if i, ok := in.wasi.stream(from); ok {
		in.wasi.std[i] = int64(to)
	}
	return errno, nil
}

// fdStat tells what a descriptor is. A standard stream is a character device if
// it is a terminal here, so that the guest's C library flushes every line.
func fdStat(ctx context.Context, in *Instance, stack []uint64) (uint64, error) {
	i, ok := in.wasi.stream(stack[0])
	if !ok {
		return in.handOn(ctx, "fd_fdstat_get", stack)
	}
	out, ok := view(in.Memory(), stack[1], 24)
	if !ok {
		return wasiFault, nil
	}
	const (
		unknown, characterDevice = 0, 2
		rightRead, rightWrite    = 1 << 1, 1 << 6
		rightPoll                = 1 << 27
	)
	clear(out)
	out[0] = unknown
	if terminal(in.wasi.file(i)) {
		out[0] = characterDevice
	}
	rights := uint64(rightWrite | rightPoll)
	if i == 0 {
		rights = rightRead | rightPoll
	}
	binary.LittleEndian.PutUint64(out[8:], rights)
	return wasiSuccess, nil
}

// file is the stream as what the host gave.
func (w *wasi) file(i int) any {
	return [...]any{w.cfg.Stdin, w.cfg.Stdout, w.cfg.Stderr}[i]
}

func terminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok || f == nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// fdRead reads from standard input what one Read of the host's reader gives.
func fdRead(ctx context.Context, in *Instance, stack []uint64) (uint64, error) {
	i, ok := in.wasi.stream(stack[0])
	if !ok {
		return in.handOn(ctx, "fd_read", stack)
	}
	mem := in.Memory()
	iovs, ok := view(mem, stack[1], 8*stack[2])
	out, ok2 := view(mem, stack[3], 4)
	if !ok || !ok2 {
		return wasiFault, nil
	}
	if i != 0 {
		return wasiBadf, nil
	}
	var n int
	for ; len(iovs) > 0; iovs = iovs[8:] {
		buf, ok := iov(mem, iovs)
		if !ok {
			return wasiFault, nil
		}
		if len(buf) == 0 {
			continue
		}
		var err error
		if n, err = readOnce(in.wasi.cfg.Stdin, buf); err != nil {
			return errnoOf(err), nil
		}
		break
	}
	binary.LittleEndian.PutUint32(out, uint32(n))
	return wasiSuccess, nil
}

func iov(mem, entry []byte) ([]byte, bool) {
	return view(mem, uint64(binary.LittleEndian.Uint32(entry)), uint64(binary.LittleEndian.Uint32(entry[4:])))
}

// readOnce answers 0 at the end of the input.
func readOnce(r io.Reader, buf []byte) (int, error) {
	if r == nil {
		return 0, nil
	}
	for range 100 {
		n, err := r.Read(buf)
		if n < 0 || n > len(buf) {
			return 0, io.ErrNoProgress
		}
		if n > 0 || err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// fdWrite writes to standard output or error, straight out of the guest's memory.
func fdWrite(ctx context.Context, in *Instance, stack []uint64) (uint64, error) {
	i, ok := in.wasi.stream(stack[0])
	if !ok {
		return in.handOn(ctx, "fd_write", stack)
	}
	mem := in.Memory()
	iovs, ok := view(mem, stack[1], 8*stack[2])
	out, ok2 := view(mem, stack[3], 4)
	if !ok || !ok2 {
		return wasiFault, nil
	}
	w, ok := in.wasi.file(i).(io.Writer)
	if i == 0 {
		return wasiBadf, nil
	}
	var total uint32
	for ; len(iovs) > 0; iovs = iovs[8:] {
		buf, inside := iov(mem, iovs)
		if !inside {
			return wasiFault, nil
		}
		n := len(buf)
		var err error
		if ok && n > 0 {
			n, err = w.Write(buf)
		}
		total += uint32(n)
		if err != nil && total == 0 {
			return errnoOf(err), nil
		}
		if err != nil || n < len(buf) {
			break
		}
	}
	binary.LittleEndian.PutUint32(out, total)
	return wasiSuccess, nil
}

func errnoOf(err error) uint64 {
	switch {
	case errors.Is(err, syscall.EPIPE):
		return wasiPipe
	case errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EBADF):
		return wasiBadf
	}
	return wasiIO
}

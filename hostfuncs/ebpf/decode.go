package ebpf

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/bowline-edge/bowline/hostfuncs"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// The largest texts and structures that a guest may pass, in bytes.
const (
	maxText   = 4096
	maxStruct = 4096
)

// fault is a call whose parameters cannot be used. It says which errno that is.
type fault struct {
	errno abi.Errno
	text  string
}

func (f *fault) Error() string { return f.text }

// call is one call of a host function. Its methods take the parameters off the stack, in order; the first one that cannot be used
// is kept in err, and the ones behind it are zero. A function looks at ok before it does anything.
type call struct {
	ctx   context.Context
	mem   []byte
	stack []uint64
	next  int
	err   error
	quiet bool // a failure is not what last_error tells
}

// ok reports whether all parameters so far can be used.
func (c *call) ok() bool { return c.err == nil }

func (c *call) fail(no abi.Errno, format string, args ...any) {
	if c.err == nil {
		c.err = &fault{no, fmt.Sprintf(format, args...)}
	}
}

func (c *call) u64() uint64 {
	v := c.stack[c.next]
	c.next++
	return v
}

func (c *call) i64() int64 { return int64(c.u64()) }

func (c *call) u32() uint32 { return uint32(c.u64()) }

func (c *call) i32() int32 { return int32(c.u32()) }

// span checks a pointer and a length.
func (c *call) span(ptr, n uint32, what string) []byte {
	b, ok := hostfuncs.Bytes(c.mem, ptr, n)
	if !ok {
		c.fail(abi.FAULT, "%s of %d bytes at %#x lies outside the plugin's memory", what, n, ptr)
		return nil
	}
	return b
}

// bytes is memory of the guest, as a view.
func (c *call) bytes(what string) []byte {
	ptr := c.u32()
	return c.span(ptr, c.u32(), what)
}

// text is a copy of a text of the guest.
func (c *call) text(what string) string {
	ptr := c.u32()
	return c.textAt(ptr, c.u32(), what)
}

func (c *call) textAt(ptr, n uint32, what string) string {
	if n > maxText {
		c.fail(abi.TOOBIG, "%s of %d bytes is longer than %d", what, n, maxText)
		return ""
	}
	b := c.span(ptr, n, what)
	if !utf8.Valid(b) || strings.IndexByte(string(b), 0) >= 0 {
		c.fail(abi.INVAL, "%s is not UTF-8 text without NUL", what)
		return ""
	}
	return string(b)
}

// out is where the guest wants a number of size bytes.
func (c *call) out(size uint32) []byte {
	ptr := c.u32()
	if ptr%size != 0 {
		c.fail(abi.FAULT, "output pointer %#x is not aligned to %d bytes", ptr, size)
	}
	b, ok := hostfuncs.Bytes(c.mem, ptr, size)
	if !ok {
		c.fail(abi.FAULT, "output pointer %#x lies outside the plugin's memory", ptr)
	}
	return b
}

func (c *call) outU32() []byte { return c.out(4) }

func (c *call) outU64() []byte { return c.out(8) }

func putU32(out []byte, v uint32) { binary.LittleEndian.PutUint32(out, v) }

func putU64(out []byte, v uint64) { binary.LittleEndian.PutUint64(out, v) }

// putHandle stores a new handle, unless there is none.
func putHandle(out []byte, handle int32, err error) error {
	if err == nil {
		putU32(out, uint32(handle))
	}
	return err
}

// putText copies a text as far as it fits and stores its whole length. Names of files and groups may be any bytes; the guest gets
// UTF-8.
func putText(buf, outLen []byte, s string) { putBytes(buf, outLen, strings.ToValidUTF8(s, "\uFFFD")) }

// putBytes copies bytes as far as they fit and stores their whole length.
func putBytes(buf, outLen []byte, s string) {
	copy(buf, s)
	putU32(outLen, uint32(min(uint64(len(s)), math.MaxUint32)))
}

// structure reads a structure. A shorter one is filled with zeros; a longer one must have nothing but zeros behind what is known
// here. It reports false for a null pointer with size 0.
func structure[T any](c *call, v *T, what string) bool {
	ptr := c.u32()
	size := c.u32()
	if ptr == 0 && size == 0 {
		return false
	}
	decodeAt(c, ptr, size, v, what)
	return true
}

func decodeAt[T any](c *call, ptr, size uint32, v *T, what string) {
	if size > maxStruct {
		c.fail(abi.TOOBIG, "%s of %d bytes is larger than %d", what, size, maxStruct)
		return
	}
	b := c.span(ptr, size, what)
	if !c.ok() {
		return
	}
	whole := binary.Size(v)
	if len(b) > whole {
		for _, x := range b[whole:] {
			if x != 0 {
				c.fail(abi.INVAL, "%s has fields that this host does not know", what)
				return
			}
		}
	}
	known := make([]byte, whole)
	copy(known, b)
	if _, err := binary.Decode(known, binary.LittleEndian, v); err != nil {
		c.fail(abi.INVAL, "%s: %v", what, err)
	}
}

// room is the memory that the guest has for a structure.
func (c *call) room(what string) []byte { return c.bytes(what) }

// putStruct writes a structure as far as there is room, and zeros behind it.
func putStruct[T any](room []byte, v *T) error {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		return err
	}
	clear(room[copy(room, b):])
	return nil
}

// zero refuses what must be zero in this version.
func zero(what string, v uint64) error {
	if v != 0 {
		return fmt.Errorf("%w: %s must be 0", session.ErrArgument, what)
	}
	return nil
}

// flags refuses flags that are not known.
func flags(what string, v, known uint64) error {
	if v&^known != 0 {
		return fmt.Errorf("%w: %s has unknown flags %#x", session.ErrArgument, what, v&^known)
	}
	return nil
}

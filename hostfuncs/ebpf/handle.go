package ebpf

import (
	"errors"
	"strings"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var handleFunctions = []function{
	{"version", (*instance).version},
	{"last_error", (*instance).lastError},
	{"close", (*instance).close},
	{"share", (*instance).share},
	{"open_shared", (*instance).openShared},
	{"pin", (*instance).pin},
	{"open_pinned", (*instance).openPinned},
	{"unpin", (*instance).unpin},
}

// version is version(out).
func (i *instance) version(c *call) error {
	out := c.outU32()
	if c.ok() {
		putU32(out, abi.Version)
	}
	return nil
}

// lastError is last_error(buf, out_len). A failure of its own does not replace the text.
func (i *instance) lastError(c *call) error {
	c.quiet = true
	buf, outLen := c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	putText(buf, outLen, explain(i.last))
	return nil
}

// explain is an error for people, with the whole log of the verifier if it has one.
func explain(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var v *bpf.VerifierError
	if errors.As(err, &v) && len(v.Log) > 0 {
		text += "\n" + strings.Join(v.Log, "\n")
	}
	return text
}

// close is close(handle).
func (i *instance) close(c *call) error { return i.s.Close(c.i32()) }

// any takes a handle of whichever kind.
func (i *instance) any(c *call) int32 {
	h := c.i32()
	if err := i.s.Any(h); err != nil && c.ok() {
		c.err = err
	}
	return h
}

// share is share(handle, name).
func (i *instance) share(c *call) error {
	h, name := i.any(c), c.text("name")
	if !c.ok() {
		return nil
	}
	return i.s.Share(h, name)
}

// openShared is open_shared(name, kind, out).
func (i *instance) openShared(c *call) error {
	name, kind, out := c.text("name"), c.u32(), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenShared(name, named[kind])
	return putHandle(out, h, err)
}

// pin is pin(handle, name).
func (i *instance) pin(c *call) error {
	h, name := i.any(c), c.text("name")
	if !c.ok() {
		return nil
	}
	return i.s.Pin(h, name)
}

// openPinned is open_pinned(name, kind, out).
func (i *instance) openPinned(c *call) error {
	name, kind, out := c.text("name"), c.u32(), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenPinned(name, named[kind])
	return putHandle(out, h, err)
}

// unpin is unpin(name).
func (i *instance) unpin(c *call) error {
	name := c.text("name")
	if !c.ok() {
		return nil
	}
	return i.s.Unpin(name)
}

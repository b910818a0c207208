package wazero

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// countLocals adds the locals of all bodies up, as 64-bit numbers.
func (w *tamer) countLocals(c *cursor) error {
	for n := c.u64(); n > 0 && c.err == nil; n-- {
		body := cursor{b: c.take(c.u64())}
		var sum uint64
		for groups := body.u64(); groups > 0 && body.err == nil; groups-- {
			sum += min(body.u64(), maxLocals+1)
			body.byte()
			if sum > maxLocals {
				return fmt.Errorf("a function has more than %d locals", maxLocals)
			}
		}
		if body.err != nil {
			return body.err // wazero would read on, into the next body
		}
		if w.locals += sum; w.locals > maxAllLocals {
			return fmt.Errorf("the functions have more than %d locals together", maxAllLocals)
		}
	}
	return c.err
}

// checkNames reads the counts in a name section; other custom sections pass.
func checkNames(c *cursor) error {
	if c.name() != "name" {
		return c.err
	}
	bad := errors.New("more names than bytes in the name section")
	for len(c.b) > 0 {
		id := c.byte()
		sub := cursor{b: c.take(c.u64())}
		if id != 1 && id != 2 { // functions, locals
			continue
		}
		n := sub.u64()
		if n > uint64(len(sub.b)) {
			return bad
		}
		for ; n > 0 && sub.err == nil; n-- {
			sub.u64()
			if id == 1 {
				sub.name()
				continue
			}
			m := sub.u64()
			if m > uint64(len(sub.b)) {
				return bad
			}
			for ; m > 0 && sub.err == nil; m-- {
				sub.u64()
				sub.name()
			}
		}
	}
	return c.err
}

// copier copies what it reads, with functions replaced.
type copier struct {
	cursor
	w   *tamer
	out []byte
}

func (c *copier) bytes(n uint64) []byte {
	b := c.take(n)
	c.out = append(c.out, b...)
	return b
}

func (c *copier) number() uint64 {
	v := c.u64()
	c.out = binary.AppendUvarint(c.out, v)
	return v
}

// types copies value types, all of which are one byte in what is supported.
func (c *copier) types(n uint64) {
	for _, t := range c.bytes(n) {
		if engine.ValueType(t).String() == "unknown" {
			c.err = fmt.Errorf("value type %#x is not supported", t)
		}
	}
}

// table copies a table's type with a maximum.
func (c *copier) table() {
	c.types(1)
	flags, least, most := c.byte(), c.u64(), uint64(math.MaxUint64)
	if flags > 1 && c.err == nil {
		c.err = fmt.Errorf("table limits with flags %#x", flags)
	}
	if flags == 1 {
		most = c.u64()
	}
	if c.err == nil && least > maxTable {
		c.err = fmt.Errorf("a table starts with %d elements, the limit is %d", least, maxTable)
	}
	c.w.changed = c.w.changed || most > maxTable
	c.out = binary.AppendUvarint(append(c.out, 1), least)
	c.out = binary.AppendUvarint(c.out, min(most, maxTable))
}

func (c *copier) function() { c.out = binary.AppendUvarint(c.out, c.w.index(c.u64())) }

func (c *copier) repeat(item func()) {
	for n := c.number(); n > 0 && c.err == nil; n-- {
		item()
	}
}

// signed copies a signed LEB128 number of any width.
func (c *copier) signed() {
	for c.err == nil {
		if b := c.bytes(1); len(b) == 1 && b[0] < 0x80 {
			return
		}
	}
}

// expr copies a constant expression.
func (c *copier) expr() {
	for c.err == nil {
		b := c.bytes(1)
		if len(b) == 0 {
			return
		}
		switch op := b[0]; op {
		case 0x0b: // end
			return
		case 0x23: // global.get
			c.number()
		case 0x41, 0x42: // i32.const, i64.const
			c.signed()
		case 0x43: // f32.const
			c.bytes(4)
		case 0x44: // f64.const
			c.bytes(8)
		case 0xd0: // ref.null
			c.signed()
		case 0xd2: // ref.func
			c.function()
		case 0xfd: // v128.const is the only one of its kind
			c.number()
			c.bytes(16)
		default:
			c.err = fmt.Errorf("opcode %#x in a constant expression", op)
		}
	}
}

// segment copies an element segment; the flags are those of the core
// specification, section 5.5.12.
func (c *copier) segment() {
	flags := c.number()
	if flags > 7 {
		c.err = fmt.Errorf("element segment with flags %#x", flags)
		return
	}
	active, explicit, exprs := flags&1 == 0, flags&2 != 0, flags&4 != 0
	if active {
		if explicit {
			c.number() // table
		}
		c.expr()
	}
	if !active || explicit {
		if exprs {
			c.types(1)
		} else if b := c.bytes(1); len(b) == 1 && b[0] != 0 {
			c.err = fmt.Errorf("elements of kind %#x", b[0])
		}
	}
	if exprs {
		c.repeat(c.expr)
	} else {
		c.repeat(c.function)
	}
}

package wazero

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// The sections that tame looks into.
const (
	secType, secImport, secFunction, secTable = 1, 2, 3, 4
	secGlobal, secExport, secElement, secCode = 6, 7, 9, 10
)

// maxTable is how many elements a table may have. Growing beyond answers -1.
const maxTable = 1 << 20

// tame changes a module so that wazero runs it safely. Nearly all modules need
// no change and come back as they are.
//
// Imported functions that a table may get to hold, or that are exported again,
// get a function around them in the module: wazero 1.12 crashes the process
// when an import is looked up in a table, and calls an exported import with the
// wrong module. A reference to a function needs a declaration outside of the
// code, in an element segment, a global or an export: with those replaced, code
// that still refers to an import is refused by wazero's validation.
//
// Tables get a maximum, because wazero grows one without it to any size.
//
// What the walk does not know is refused, so that it never sees a module
// differently from wazero.
func tame(wasm []byte) ([]byte, error) {
	w := tamer{wrapped: map[uint64]uint64{}}
	var sections []section
	for c := (cursor{b: wasm[8:]}); len(c.b) > 0; {
		s := section{id: c.byte()}
		s.body = c.take(c.u64())
		if c.err != nil {
			return nil, c.err
		}
		if err := w.visit(&s); err != nil {
			return nil, fmt.Errorf("section %d: %w", s.id, err)
		}
		sections = append(sections, s)
	}
	if len(w.order) == 0 && !w.changed {
		return wasm, nil
	}
	if len(w.order) > 0 && w.defined == 0 {
		return nil, errors.New("it refers to imports and has no functions of its own, which wazero cannot run")
	}
	out := slices.Clone(wasm[:8])
	for _, s := range sections {
		switch s.id {
		case secFunction:
			s.body = w.extend(s.body, func(b []byte, i uint64) []byte { return binary.AppendUvarint(b, w.imports[i]) })
		case secCode:
			s.body = w.extend(s.body, w.code)
		}
		out = append(out, s.id)
		out = binary.AppendUvarint(out, uint64(len(s.body)))
		out = append(out, s.body...)
	}
	return out, nil
}

type section struct {
	id   byte
	body []byte
}

type tamer struct {
	params  []uint64          // number of parameters of each type
	imports []uint64          // type of each imported function
	defined uint64            // how many functions the module has itself
	wrapped map[uint64]uint64 // import to its wrapper
	order   []uint64          // imports in the order of their wrappers
	changed bool              // whether a table got another maximum
}

// visit learns from a section, or replaces references in it.
func (w *tamer) visit(s *section) error {
	c := &copier{cursor: cursor{b: s.body}, w: w}
	switch s.id {
	case secType:
		for n := c.u64(); n > 0 && c.err == nil; n-- {
			if form := c.byte(); form != 0x60 {
				return fmt.Errorf("type of form %#x", form)
			}
			params := c.u64()
			w.params = append(w.params, params)
			c.types(params)
			c.types(c.u64())
		}
		return c.err
	case secImport:
		return w.importSection(c)
	case secFunction:
		w.defined += c.u64()
		return c.err
	case secTable:
		c.repeat(c.table)
	case secGlobal:
		c.repeat(func() { c.types(1); c.bytes(1); c.expr() })
	case secExport:
		c.repeat(func() {
			c.bytes(c.number())
			if kind := c.bytes(1); len(kind) == 1 && kind[0] == 0 {
				c.function()
			} else {
				c.number()
			}
		})
	case secElement:
		c.repeat(c.segment)
	default:
		return nil
	}
	if c.err == nil && len(c.b) > 0 {
		return errors.New("bytes after its end")
	}
	s.body = c.out
	return c.err
}

func (w *tamer) importSection(c *copier) error {
	for n := c.u64(); n > 0 && c.err == nil; n-- {
		c.name()
		c.name()
		switch kind := c.byte(); kind {
		case 0:
			w.imports = append(w.imports, c.u64())
		case 1:
			c.types(1)
			c.limits()
		case 2:
			c.limits()
		case 3:
			c.types(1)
			c.byte()
		default:
			return fmt.Errorf("import of kind %d", kind)
		}
	}
	return c.err
}

// index is what stands for a function from now on.
func (w *tamer) index(i uint64) uint64 {
	n := uint64(len(w.imports))
	if i >= n {
		return i
	}
	if _, ok := w.wrapped[i]; !ok {
		w.wrapped[i] = n + w.defined + uint64(len(w.order))
		w.order = append(w.order, i)
	}
	return w.wrapped[i]
}

// extend adds one item per wrapper to a section that is a vector.
func (w *tamer) extend(body []byte, item func([]byte, uint64) []byte) []byte {
	c := cursor{b: body}
	n := c.u64()
	out := binary.AppendUvarint(nil, n+uint64(len(w.order)))
	out = append(out, c.b...)
	for _, i := range w.order {
		out = item(out, i)
	}
	return out
}

// code is a body that passes all parameters on.
func (w *tamer) code(b []byte, i uint64) []byte {
	body := []byte{0} // no locals
	if t := w.imports[i]; t < uint64(len(w.params)) {
		for p := range w.params[t] {
			body = binary.AppendUvarint(append(body, 0x20), p) // local.get
		}
	}
	body = binary.AppendUvarint(append(body, 0x10), i) // call
	body = append(body, 0x0b)                          // end
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
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

package wazero

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The sections that tame looks into.
const (
	secType, secImport, secFunction, secTable = 1, 2, 3, 4
	secGlobal, secExport, secElement, secCode = 6, 7, 9, 10
	secStart, secDataCount                    = 8, 12
)

// Limits that no honest module meets, on what wazero would allocate without one.
const (
	maxTable     = 1 << 20 // elements of a table; growing beyond answers -1
	maxTables    = 16
	maxLocals    = 50_000 // of one function
	maxAllLocals = 4 << 20
)

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
// Tables get a maximum, because wazero grows one without it to any size. Counts
// that the module has no bytes for are refused, because wazero allocates first
// and reads then.
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
	locals  uint64            // of all functions so far
}

// visit learns from a section, or replaces references in it.
func (w *tamer) visit(s *section) error {
	c := &copier{cursor: cursor{b: s.body}, w: w}
	if s.id == 0 {
		return checkNames(&c.cursor)
	}
	count := cursor{b: s.body}
	if n := count.u64(); s.id != secStart && s.id != secDataCount && n > uint64(len(count.b)) {
		return fmt.Errorf("%d items in %d bytes", n, len(count.b))
	} else if s.id == secTable && n > maxTables {
		return fmt.Errorf("%d tables, the limit is %d", n, maxTables)
	}
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
	case secCode:
		return w.countLocals(&c.cursor)
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

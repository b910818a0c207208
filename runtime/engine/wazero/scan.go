package wazero

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// shape is what the seam needs to know of a module and wazero does not tell.
type shape struct {
	// table is the function table's index, -1 if there is none.
	table int
	// foreign names the first import that is no function, empty if there is none.
	foreign string
}

var errTruncated = errors.New("the module is truncated")

// cursor reads the binary format. After an error all reads give zeros.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail() {
	c.b = nil
	if c.err == nil {
		c.err = errTruncated
	}
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) u64() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) name() string { return string(c.take(c.u64())) }

func (c *cursor) limits() {
	flags := c.byte()
	c.u64()
	if flags&1 != 0 {
		c.u64()
	}
}

// scan reads the import, table and export sections. It checks no more than it
// needs: the engine validates the module.
func scan(wasm []byte) (shape, error) {
	s := shape{table: -1}
	if len(wasm) < 8 || string(wasm[:4]) != "\x00asm" {
		return s, errors.New("it does not start with the bytes \\0asm")
	}
	switch v := binary.LittleEndian.Uint32(wasm[4:]); {
	case v == 1:
	case v>>16 == 1:
		return s, errors.New("it is a component, not a core module: build the plugin as a core module for WASI preview 1")
	default:
		return s, fmt.Errorf("its version is %#x, a core module has 1", v)
	}
	var tables []engine.ValueType
	named := -1
	for c := (cursor{b: wasm[8:]}); len(c.b) > 0; {
		id := c.byte()
		body := cursor{b: c.take(c.u64())}
		if c.err != nil {
			return s, c.err
		}
		switch id {
		case 2:
			tables = s.imports(&body, tables)
		case 4:
			for n := body.u64(); n > 0 && body.err == nil; n-- {
				tables = append(tables, engine.ValueType(body.byte()))
				body.limits()
			}
		case 7:
			for n := body.u64(); n > 0 && body.err == nil; n-- {
				name, kind, index := body.name(), body.byte(), body.u64()
				if kind == 1 && name == "__indirect_function_table" && index < 1<<31 {
					named = int(index)
				}
			}
		}
		if body.err != nil {
			return s, body.err
		}
	}
	if s.table = max(named, 0); s.table >= len(tables) || tables[s.table] != engine.FuncRef {
		s.table = -1
	}
	return s, nil
}

func (s *shape) imports(c *cursor, tables []engine.ValueType) []engine.ValueType {
	for n := c.u64(); n > 0 && c.err == nil; n-- {
		mod, name := c.name(), c.name()
		kind := c.byte()
		what := ""
		switch kind {
		case 0:
			c.u64()
		case 1:
			what = "table"
			tables = append(tables, engine.ValueType(c.byte()))
			c.limits()
		case 2:
			what = "memory"
			c.limits()
		case 3:
			what = "global"
			c.take(2)
		default:
			what = "item"
			c.b = nil // the engine knows, or refuses the module
			n = 1
		}
		if what != "" && s.foreign == "" {
			s.foreign = fmt.Sprintf("%s %s.%s", what, mod, name)
		}
	}
	return tables
}

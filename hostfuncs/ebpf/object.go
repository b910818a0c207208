package ebpf

import (
	"errors"
	"fmt"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var objectFunctions = []function{
	{"object_open", (*instance).objectOpen},
	{"object_item", (*instance).objectItem},
	{"object_set_variable", (*instance).objectSetVariable},
	{"object_get_variable", (*instance).objectGetVariable},
	{"object_set_map", (*instance).objectSetMap},
	{"object_replace_map", (*instance).objectReplaceMap},
	{"object_set_autoload", (*instance).objectSetAutoload},
	{"object_set_attach_target", (*instance).objectSetAttachTarget},
	{"object_load", (*instance).objectLoad},
	{"object_map", (*instance).objectMap},
	{"object_program", (*instance).objectProgram},
}

// maxObject is the largest ELF object, in bytes.
const maxObject = 64 << 20

// object takes a handle of an object.
func (i *instance) object(c *call) *session.Object {
	o, err := i.s.Object(c.i32())
	if err != nil && c.ok() {
		c.err = err
	}
	return o
}

// objectOpen is object_open(elf, out).
func (i *instance) objectOpen(c *call) error {
	elf, out := c.bytes("BPF object"), c.outU32()
	switch {
	case !c.ok():
		return nil
	case len(elf) > maxObject:
		return &fault{abi.TOOBIG, fmt.Sprintf("a BPF object of %d MiB; at most %d", len(elf)>>20, maxObject>>20)}
	}
	h, err := i.s.OpenObject(elf)
	i.env.Note("open BPF object", err)
	return putHandle(out, h, err)
}

// objectItem is object_item(object, what, index, buf, out_len).
func (i *instance) objectItem(c *call) error {
	o, what, index, buf, outLen := i.object(c), c.u32(), c.u32(), c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	item, name, section, err := describe(o, what, index)
	if err != nil {
		return err
	}
	item.NameLen, item.SectionLen = uint32(len(name)), uint32(len(section))
	head := make([]byte, 40)
	if err := putStruct(head, &item); err != nil {
		return err
	}
	putBytes(buf, outLen, string(head)+name+section)
	return nil
}

// objectSetVariable is object_set_variable(object, name, value).
func (i *instance) objectSetVariable(c *call) error {
	o, name, value := i.object(c), c.text("name"), c.bytes("value")
	if !c.ok() {
		return nil
	}
	return o.SetVariable(name, value)
}

// objectGetVariable is object_get_variable(object, name, buf, out_len).
func (i *instance) objectGetVariable(c *call) error {
	o, name, buf, outLen := i.object(c), c.text("name"), c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	value, err := o.Variable(name)
	if err != nil {
		return err
	}
	putU32(outLen, uint32(len(value)))
	if len(buf) < len(value) {
		return fmt.Errorf("variable %s: %w: it has %d bytes, the buffer %d", name, session.ErrRoom, len(value), len(buf))
	}
	copy(buf, value)
	return nil
}

// mapFields translates the contract's numbers.
var mapFields = map[uint32]session.MapField{
	abi.MapMaxEntries: session.MaxEntries, abi.MapFlags: session.Flags, abi.MapKeySize: session.KeySize, abi.MapValueSize: session.ValueSize,
}

// objectSetMap is object_set_map(object, name, field, value).
func (i *instance) objectSetMap(c *call) error {
	o, name, number, value := i.object(c), c.text("name"), c.u32(), c.u64()
	if !c.ok() {
		return nil
	}
	field, ok := mapFields[number]
	if !ok {
		return fmt.Errorf("set map %s: %w: no field %d", name, session.ErrArgument, number)
	}
	return o.SetMap(name, field, value)
}

// objectReplaceMap is object_replace_map(object, name, map).
func (i *instance) objectReplaceMap(c *call) error {
	o, name, m := i.object(c), c.text("name"), i.mapHandle(c)
	if !c.ok() {
		return nil
	}
	return i.s.ReplaceMap(o, name, m)
}

// objectSetAutoload is object_set_autoload(object, name, load).
func (i *instance) objectSetAutoload(c *call) error {
	o, name, load := i.object(c), c.text("name"), c.u32()
	switch {
	case !c.ok():
		return nil
	case load > 1:
		return fmt.Errorf("load program %s: %w: %d is neither 0 nor 1", name, session.ErrArgument, load)
	}
	return o.SetLoad(name, load == 1)
}

// objectSetAttachTarget is object_set_attach_target(object, name, symbol, target).
func (i *instance) objectSetAttachTarget(c *call) error {
	o, name, symbol, target := i.object(c), c.text("name"), c.text("symbol"), i.optionalProgram(c)
	if !c.ok() {
		return nil
	}
	return o.SetAttachTarget(name, symbol, target)
}

// objectLoad is object_load(object, flags).
func (i *instance) objectLoad(c *call) error {
	o, f := i.object(c), c.u32()
	if !c.ok() {
		return nil
	}
	if err := flags("object_load", uint64(f), abi.LoadNoLossCount|abi.LoadLog); err != nil {
		return err
	}
	err := i.s.Load(o, bpf.LoadOptions{NoLossCount: f&abi.LoadNoLossCount != 0, VerifierLog: f&abi.LoadLog != 0})
	if !errors.Is(err, session.ErrLoaded) {
		i.env.Note("load BPF object", err)
	}
	return err
}

// objectMap is object_map(object, name, out).
func (i *instance) objectMap(c *call) error {
	o, name, out := i.object(c), c.text("name"), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.ObjectMap(o, name)
	return putHandle(out, h, err)
}

// objectProgram is object_program(object, name, out).
func (i *instance) objectProgram(c *call) error {
	o, name, out := i.object(c), c.text("name"), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.ObjectProgram(o, name)
	return putHandle(out, h, err)
}

package ebpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var mapFunctions = []function{
	{"map_create", (*instance).mapCreate},
	{"map_info", (*instance).mapInfo},
	{"map_lookup", (*instance).mapLookup},
	{"map_update", (*instance).mapUpdate},
	{"map_delete", (*instance).mapDelete},
	{"map_next_key", (*instance).mapNextKey},
	{"map_lookup_and_delete", (*instance).mapLookupAndDelete},
	{"map_lookup_batch", (*instance).mapLookupBatch},
	{"map_lookup_and_delete_batch", (*instance).mapLookupAndDeleteBatch},
	{"map_update_batch", (*instance).mapUpdateBatch},
	{"map_delete_batch", (*instance).mapDeleteBatch},
	{"map_push", (*instance).mapPush},
	{"map_pop", (*instance).mapPop},
	{"map_peek", (*instance).mapPeek},
	{"map_freeze", (*instance).mapFreeze},
	{"map_inner", (*instance).mapInner},
	{"map_write_ring", (*instance).mapWriteRing},
}

// mapHandle takes a handle of a map.
func (i *instance) mapHandle(c *call) *session.Map {
	m, err := i.s.Map(c.i32())
	if err != nil && c.ok() {
		c.err = err
	}
	return m
}

// mapCreate is map_create(options, name, out).
func (i *instance) mapCreate(c *call) error {
	var o abi.MapOptions
	if !structure(c, &o, "map_options") {
		c.fail(abi.FAULT, "map_create needs options")
	}
	name, out := c.text("name"), c.outU32()
	if !c.ok() {
		return nil
	}
	opts := bpf.MapOptions{
		Name: name, Type: ebpf.MapType(o.Type), KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries, Flags: o.Flags,
	}
	if err := checkMapOptions(&o, name); err != nil {
		return err
	}
	if o.Inner != 0 {
		inner, err := i.s.Map(o.Inner)
		if err != nil {
			return err
		}
		opts.Inner = inner.Map
	}
	h, err := i.s.CreateMap(opts)
	i.env.Note("create map "+name, err)
	var kernels unix.Errno
	if Errno(err) == abi.IO && !errors.As(err, &kernels) { // the sizes are refused before the kernel sees them
		err = &fault{abi.INVAL, err.Error()}
	}
	return putHandle(out, h, err)
}

// The kernel's map flags that make it take a descriptor or an address in other fields, or that ask for what is not offered.
const (
	flagVtypeBTFObj = 1 << 15 // BPF_F_VTYPE_BTF_OBJ_FD
	flagToken       = 1 << 16 // BPF_F_TOKEN_FD
)

func checkMapOptions(o *abi.MapOptions, name string) error {
	if err := zero("map_options.reserved", o.Reserved); err != nil {
		return err
	}
	if o.Type == 0 {
		return fmt.Errorf("create map %s: %w: no type is given", name, session.ErrArgument)
	}
	if o.Flags&(flagVtypeBTFObj|flagToken) != 0 {
		return fmt.Errorf("create map %s: %w: flags %#x ask for descriptors, which a guest does not have", name, session.ErrArgument, o.Flags)
	}
	if len(name) > 15 {
		return fmt.Errorf("create map %s: %w: the name has more than 15 bytes", name, session.ErrArgument)
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.') {
			return fmt.Errorf("create map %s: %w: the name may only have A-Z a-z 0-9 . and _", name, session.ErrArgument)
		}
	}
	return nil
}

// mapInfo is map_info(map, out).
func (i *instance) mapInfo(c *call) error {
	m, room := i.mapHandle(c), c.room("map_info")
	if !c.ok() {
		return nil
	}
	info, err := m.Info()
	if err != nil {
		return err
	}
	out := abi.MapInfo{
		ID: info.ID, Type: uint32(info.Type), KeySize: info.KeySize, ValueSize: info.ValueSize, MaxEntries: info.MaxEntries,
		Flags: info.Flags, Values: uint32(info.Values), EntrySize: uint32(m.ValueSize()), CursorSize: uint32(m.CursorSize()),
		Memory: info.Memlock,
	}
	if info.Frozen {
		out.State = abi.MapFrozen
	}
	copy(out.Name[:len(out.Name)-1], info.Name)
	return putStruct(room, &out)
}

// mapLookup is map_lookup(map, key, value, flags).
func (i *instance) mapLookup(c *call) error {
	m, key, value, f := i.mapHandle(c), c.bytes("key"), c.bytes("value"), c.u64()
	if !c.ok() {
		return nil
	}
	return i.s.Lookup(m, key, value, f)
}

// mapUpdate is map_update(map, key, value, flags).
func (i *instance) mapUpdate(c *call) error {
	m, key, value, f := i.mapHandle(c), c.bytes("key"), c.bytes("value"), c.u64()
	if !c.ok() {
		return nil
	}
	return i.s.Update(m, key, value, f)
}

// mapDelete is map_delete(map, key).
func (i *instance) mapDelete(c *call) error {
	m, key := i.mapHandle(c), c.bytes("key")
	if !c.ok() {
		return nil
	}
	return i.s.Delete(m, key)
}

// mapNextKey is map_next_key(map, key, next).
func (i *instance) mapNextKey(c *call) error {
	m, key, next := i.mapHandle(c), c.bytes("key"), c.bytes("next")
	if !c.ok() {
		return nil
	}
	return i.s.NextKey(m, key, next)
}

// mapLookupAndDelete is map_lookup_and_delete(map, key, value, flags).
func (i *instance) mapLookupAndDelete(c *call) error {
	m, key, value, f := i.mapHandle(c), c.bytes("key"), c.bytes("value"), c.u64()
	if !c.ok() {
		return nil
	}
	return i.s.LookupAndDelete(m, key, value, f)
}

// mapLookupBatch is map_lookup_batch(map, cursor, keys, values, flags, out_count).
func (i *instance) mapLookupBatch(c *call) error {
	return i.batch(c, (*session.Map).LookupBatch)
}

// mapLookupAndDeleteBatch is map_lookup_and_delete_batch(map, cursor, keys, values, flags, out_count).
func (i *instance) mapLookupAndDeleteBatch(c *call) error {
	return i.batch(c, (*session.Map).LookupAndDeleteBatch)
}

func (i *instance) batch(c *call, lookup func(m *session.Map, cursor, keys, values []byte, f uint64) (int, error)) error {
	m, cursor, keys, values, f, out := i.mapHandle(c), c.bytes("cursor"), c.bytes("keys"), c.bytes("values"), c.u64(), c.outU32()
	if !c.ok() {
		return nil
	}
	n, err := lookup(m, cursor, keys, values, f)
	putU32(out, uint32(n))
	return err
}

// mapUpdateBatch is map_update_batch(map, keys, values, flags, out_count).
func (i *instance) mapUpdateBatch(c *call) error {
	m, keys, values, f, out := i.mapHandle(c), c.bytes("keys"), c.bytes("values"), c.u64(), c.outU32()
	if !c.ok() {
		return nil
	}
	n, err := i.s.UpdateBatch(m, keys, values, f)
	putU32(out, uint32(n))
	return err
}

// mapDeleteBatch is map_delete_batch(map, keys, flags, out_count).
func (i *instance) mapDeleteBatch(c *call) error {
	m, keys, f, out := i.mapHandle(c), c.bytes("keys"), c.u64(), c.outU32()
	if !c.ok() {
		return nil
	}
	if err := zero("flags of map_delete_batch", f); err != nil {
		return err
	}
	n, err := m.DeleteBatch(keys)
	putU32(out, uint32(n))
	return err
}

// mapPush is map_push(map, value, flags).
func (i *instance) mapPush(c *call) error {
	m, value, f := i.mapHandle(c), c.bytes("value"), c.u64()
	if !c.ok() {
		return nil
	}
	return i.s.Push(m, value, f)
}

// mapPop is map_pop(map, value).
func (i *instance) mapPop(c *call) error {
	m, value := i.mapHandle(c), c.bytes("value")
	if !c.ok() {
		return nil
	}
	return i.s.Pop(m, value)
}

// mapPeek is map_peek(map, value).
func (i *instance) mapPeek(c *call) error {
	m, value := i.mapHandle(c), c.bytes("value")
	if !c.ok() {
		return nil
	}
	return i.s.Peek(m, value)
}

// mapFreeze is map_freeze(map).
func (i *instance) mapFreeze(c *call) error {
	m := i.mapHandle(c)
	if !c.ok() {
		return nil
	}
	return m.Freeze()
}

// mapInner is map_inner(map, key, out).
func (i *instance) mapInner(c *call) error {
	m, key, out := i.mapHandle(c), c.bytes("key"), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.InnerMap(m, key)
	return putHandle(out, h, err)
}

// mapWriteRing is map_write_ring(map, frames, out_records).
func (i *instance) mapWriteRing(c *call) error {
	m, frames, out := i.mapHandle(c), c.bytes("frames"), c.outU32()
	if !c.ok() {
		return nil
	}
	n, err := m.WriteRing(frames)
	putU32(out, uint32(n))
	return err
}

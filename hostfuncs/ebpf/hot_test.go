package ebpf

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// TestHotCallsDoNotAllocate calls host functions as an engine does. What a plugin calls a million times a second must not be work for
// the garbage collector.
func TestHotCallsDoNotAllocate(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		o := p.load(puppetObject)
		hash, ring := p.handle("object_map", o, "hash"), p.handle("object_map", o, "ring_a")
		ev := p.events(ring)
		key, other, value := span{p.put(native32(1)), 4}, span{p.put(native32(2)), 4}, p.room(8)
		p.ok("map_update", hash, key, value, uint64(0))
		info := p.room(72)
		p.ok("map_info", hash, info)
		keys, values, cursor := p.room(32), p.room(64), p.room(int(decode[abi.MapInfo](p, info).CursorSize))
		buf, batch, out := p.room(72), p.room(batchSize), p.room(4)
		const records = 56 // as many as the ring takes
		p.emit(p.handle("object_program", o, "emit"), 0, records, 64, 0)
		read := 0
		for _, c := range []struct {
			title, name string
			want        abi.Errno
			args        []any
			after       func()
		}{
			{"version", "version", abi.SUCCESS, []any{ptr(out.ptr)}, nil},
			{"a look-up", "map_lookup", abi.SUCCESS, []any{hash, key, value, uint64(0)}, nil},
			{"a look-up of a missing key", "map_lookup", abi.NOENT, []any{hash, other, value, uint64(0)}, nil},
			{"an update", "map_update", abi.SUCCESS, []any{hash, key, value, uint64(0)}, nil},
			{"the removal of a missing key", "map_delete", abi.NOENT, []any{hash, other}, nil},
			{"the first key", "map_next_key", abi.SUCCESS, []any{hash, span{}, other}, nil},
			{"a batch look-up", "map_lookup_batch", abi.SUCCESS, []any{hash, cursor, keys, values, uint64(0), ptr(out.ptr)}, func() {
				clear(p.in.Memory()[cursor.ptr : cursor.ptr+cursor.len])
			}},
			{"a read of records", "events_read", abi.SUCCESS, []any{ev, buf, uint64(0), batch}, func() {
				read += int(binary.LittleEndian.Uint32(p.in.Memory()[batch.ptr+4:]))
			}},
			{"a read without records", "events_read", abi.SUCCESS, []any{ev, buf, uint64(0), batch}, nil},
		} {
			f := p.inst.Func(imported(c.name))
			args := p.values(c.args)
			stack := make([]uint64, len(args)+1)
			ctx := context.Background()
			got := testing.AllocsPerRun(records-1, func() {
				copy(stack, args)
				if err := f.Call(ctx, p.in, stack); err != nil || abi.Errno(stack[0]) != c.want {
					t.Fatalf("%s: %s, %v: %s", c.title, abi.Errno(stack[0]), err, p.lastError())
				}
				if c.after != nil {
					c.after()
				}
			})
			if got != 0 {
				t.Errorf("%s: %v allocations", c.title, got)
			}
		}
		if read != records {
			t.Errorf("%d records were read, want %d", read, records)
		}
	})
}

package ebpf

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// info describes a map.
func (p *puppet) info(m int32) abi.MapInfo {
	p.t.Helper()
	room := p.room(structSize("map_info"))
	p.ok("map_info", m, room)
	return decode[abi.MapInfo](p, room)
}

// value looks a key up.
func (p *puppet) value(m int32, key []byte, size int, flags uint64) []byte {
	p.t.Helper()
	out := p.room(size)
	p.ok("map_lookup", m, key, out, flags)
	return p.read(out)
}

func TestPerCPUValues(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		cpus := ebpf.MustPossibleCPU()
		for _, typ := range []ebpf.MapType{ebpf.PerCPUArray, ebpf.PerCPUHash, ebpf.LRUCPUHash} {
			m := p.newMap(typ, 4, 5, 8) // a value of 5 bytes takes 8
			if i := p.info(m); int(i.Values) != cpus || i.ValueSize != 5 || int(i.EntrySize) != 8*cpus {
				t.Errorf("%s: map_info %+v", typ, i)
			}
			key, all := native32(3), bytes.Repeat([]byte("01234---"), cpus)
			p.ok("map_update", m, key, all, uint64(0))
			last := uint64(cpus-1) << 32
			p.ok("map_update", m, key, []byte("abcde"), abi.OneCPU|last)
			if got := p.value(m, key, 5, abi.OneCPU|last); string(got) != "abcde" {
				t.Errorf("%s: the last CPU has %q", typ, got)
			}
			if got := p.value(m, key, 8*cpus, 0); string(got[:5]) != "01234" && cpus > 1 {
				t.Errorf("%s: the first CPU has %q now", typ, got[:5])
			}
			p.ok("map_update", m, key, []byte("fghij"), uint64(abi.AllCPUs))
			got := p.value(m, key, 8*cpus, 0)
			for at := 0; at < len(got); at += 8 {
				if string(got[at:at+5]) != "fghij" {
					t.Errorf("%s: CPU %d has %q", typ, at/8, got[at:at+5])
				}
			}
			beyond := uint64(cpus) << 32
			p.want(abi.RANGE, "map_update", m, key, []byte("abcde"), abi.OneCPU|beyond)
			p.want(abi.RANGE, "map_lookup", m, key, p.room(5), abi.OneCPU|beyond)
			p.want(abi.RANGE, "map_lookup", m, key, p.room(5), abi.OneCPU|uint64(0xffffffff)<<32)
			for _, size := range []int{0, 5, 8*cpus - 1, 8*cpus + 1} {
				p.want(abi.INVAL, "map_lookup", m, key, p.room(size), uint64(0))
				p.want(abi.INVAL, "map_update", m, key, make([]byte, size), uint64(0))
			}
			for _, size := range []int{0, 4, 6, 8} {
				p.want(abi.INVAL, "map_lookup", m, key, p.room(size), uint64(abi.OneCPU))
				p.want(abi.INVAL, "map_update", m, key, make([]byte, size), uint64(abi.AllCPUs))
			}
		}
	})
}

func TestQueuesStacksAndBloomFilters(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		for typ, want := range map[ebpf.MapType][]uint64{ebpf.Queue: {1, 2, 3}, ebpf.Stack: {3, 2, 1}} {
			m := p.newMap(typ, 0, 8, 3)
			out := p.room(8)
			p.want(abi.NOENT, "map_pop", m, out)
			p.want(abi.NOENT, "map_peek", m, out)
			for n := range uint64(3) {
				p.ok("map_push", m, native64(n+1), uint64(0))
			}
			p.want(abi.TOOBIG, "map_push", m, native64(4), uint64(0))
			p.want(abi.INVAL, "map_push", m, native32(4), uint64(0))
			p.want(abi.INVAL, "map_pop", m, span{out.ptr, 7})
			p.want(abi.INVAL, "map_next_key", m, span{}, out)
			p.want(abi.INVAL, "map_lookup_batch", m, p.room(16), p.room(8), p.room(8), uint64(0), ptr(p.room(4).ptr))
			for _, w := range want {
				p.ok("map_peek", m, out)
				peeked := p.read(out)
				p.ok("map_pop", m, out)
				if got := binary.NativeEndian.Uint64(p.read(out)); got != w || binary.NativeEndian.Uint64(peeked) != w {
					t.Errorf("%s: got %d, want %d", typ, got, w)
				}
			}
			for n := range uint64(4) {
				p.ok("map_push", m, native64(n+1), uint64(abi.UpdateExist)) // the last drops the first
			}
			if typ == ebpf.Queue {
				if p.ok("map_pop", m, out); binary.NativeEndian.Uint64(p.read(out)) != 2 {
					t.Errorf("the oldest value is %x, want 2", p.read(out))
				}
			}
		}
		bloom := p.newMap(ebpf.BloomFilter, 0, 8, 100)
		p.want(abi.NOENT, "map_peek", bloom, native64(1))
		p.ok("map_push", bloom, native64(1), uint64(0))
		p.ok("map_peek", bloom, native64(1))
		p.want(abi.INVAL, "map_pop", bloom, p.room(8))
		hash := p.newMap(ebpf.Hash, 4, 8, 1)
		for _, name := range []string{"map_pop", "map_peek"} {
			p.want(abi.INVAL, name, hash, p.room(8))
		}
		p.want(abi.INVAL, "map_push", hash, native64(1), uint64(0))
		p.want(abi.INVAL, "map_inner", hash, native32(0), ptr(p.room(4).ptr))
		p.want(abi.INVAL, "map_write_ring", hash, []byte{}, ptr(p.room(4).ptr))
	})
}

func TestFrozenMapsCannotBeWritten(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Hash, 4, 8, 8)
		p.ok("map_update", m, native32(1), native64(7), uint64(0))
		p.ok("map_freeze", m)
		if p.info(m).State&abi.MapFrozen == 0 {
			t.Error("map_info does not say that it is frozen")
		}
		p.want(abi.PERM, "map_update", m, native32(1), native64(8), uint64(0))
		p.want(abi.PERM, "map_delete", m, native32(1))
		p.want(abi.PERM, "map_update_batch", m, native32(1), native64(8), uint64(0), ptr(p.room(4).ptr))
		p.want(abi.PERM, "map_delete_batch", m, native32(1), uint64(0), ptr(p.room(4).ptr))
		size := int(p.info(m).CursorSize)
		p.want(abi.PERM, "map_lookup_and_delete_batch", m, p.room(size), p.room(4), p.room(8), uint64(0), ptr(p.room(4).ptr))
		if got := p.value(m, native32(1), 8, 0); binary.NativeEndian.Uint64(got) != 7 {
			t.Errorf("the value is %x", got)
		}
		p.ok("map_freeze", m) // again is no error
	})
}

func TestBatchesGoThroughTheWholeMap(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.Array, ebpf.LRUHash, ebpf.PerCPUArray, ebpf.LPMTrie} {
			const entries = 300
			keySize := 4
			if typ == ebpf.LPMTrie {
				keySize = 8
			}
			m := p.newMap(typ, uint32(keySize), 8, entries*map[bool]uint32{true: 16, false: 1}[typ == ebpf.LRUHash])
			i := p.info(m)
			var keys, values []byte
			for n := range uint32(entries) {
				key := native32(n)
				if typ == ebpf.LPMTrie {
					key = append(native32(32), binary.BigEndian.AppendUint32(nil, n)...)
				}
				keys, values = append(keys, key...), append(values, bytes.Repeat(native64(uint64(n)), int(i.Values))...)
			}
			out := p.room(4)
			p.ok("map_update_batch", m, keys, values, uint64(0), ptr(out.ptr))
			if n := p.u32(out.ptr); n != entries {
				t.Fatalf("%s: %d were set, want %d", typ, n, entries)
			}
			for _, room := range []int{7, 64, entries, entries + 1} {
				if seen := p.walk(m, room, keySize, int(i.EntrySize), int(i.CursorSize)); len(seen) != entries {
					t.Errorf("%s: batches of %d: %d keys, want %d", typ, room, len(seen), entries)
				}
			}
			cursor, k, v := p.room(int(i.CursorSize)), p.room(keySize), p.room(int(i.EntrySize))
			p.want(abi.INVAL, "map_lookup_batch", m, span{cursor.ptr, cursor.len - 1}, k, v, uint64(0), ptr(out.ptr))
			p.want(abi.INVAL, "map_lookup_batch", m, cursor, span{k.ptr, k.len - 1}, v, uint64(0), ptr(out.ptr))
			p.want(abi.INVAL, "map_lookup_batch", m, cursor, k, span{v.ptr, v.len - 1}, uint64(0), ptr(out.ptr))
			copy(p.in.Memory()[cursor.ptr:], "\xff\xff\xff\xff\xff\xff\xff\xff") // no call left that
			p.want(abi.INVAL, "map_lookup_batch", m, cursor, k, v, uint64(0), ptr(out.ptr))
		}
	})
}

// walk reads a map by batches, each key once.
func (p *puppet) walk(m int32, room, keySize, valueSize, cursorSize int) map[string]bool {
	p.t.Helper()
	seen := map[string]bool{}
	cursor, out := p.room(cursorSize), p.room(4)
	for {
		keys, values := p.room(room*keySize), p.room(room*valueSize)
		switch no := p.call("map_lookup_batch", m, cursor, keys, values, uint64(0), ptr(out.ptr)); no {
		case abi.SUCCESS:
		case abi.NOSPC: // a bucket of a hash is larger
			room *= 2
			continue
		default:
			p.t.Fatalf("map_lookup_batch: %s: %s", no, p.lastError())
		}
		n := int(p.u32(out.ptr))
		if n == 0 {
			return seen
		}
		for i, key := 0, p.read(keys); i < n; i++ {
			if k := string(key[i*keySize : (i+1)*keySize]); seen[k] {
				p.t.Fatalf("key %x came twice", k)
			} else {
				seen[k] = true
			}
		}
	}
}

func TestBatchesSayHowFarTheyGot(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.handle("map_create", encode(t, &abi.MapOptions{Type: uint32(ebpf.Hash), KeySize: 4, ValueSize: 8, MaxEntries: 3, Flags: unix.BPF_F_NO_PREALLOC}), "")
		var keys []byte
		for n := range uint32(5) {
			keys = append(keys, native32(n)...)
		}
		out := p.room(4)
		p.want(abi.TOOBIG, "map_update_batch", m, keys, make([]byte, 40), uint64(0), ptr(out.ptr))
		if n := p.u32(out.ptr); n != 3 {
			t.Errorf("%d were stored, want 3", n)
		}
		p.want(abi.NOENT, "map_delete_batch", m, keys, uint64(0), ptr(out.ptr))
		if n := p.u32(out.ptr); n != 3 {
			t.Errorf("%d were removed, want 3", n)
		}
		p.want(abi.INVAL, "map_update_batch", m, keys, make([]byte, 39), uint64(0), ptr(out.ptr))
		p.want(abi.INVAL, "map_delete_batch", m, keys, uint64(1), ptr(out.ptr))
	})
}

// userFrame is a record for a user ring.
func userFrame(size int) []byte {
	b := append(le32bytes(uint32(size)), 0, 0, 0, 0)
	return append(b, make([]byte, (size+7)&^7)...)
}

func TestUserRingTakesWholeFrames(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.UserRingbuf, 0, 0, 4096)
		out := p.room(4)
		write := func(want abi.Errno, records uint32, frames []byte) {
			t.Helper()
			p.want(want, "map_write_ring", m, frames, ptr(out.ptr))
			if n := p.u32(out.ptr); n != records {
				t.Errorf("%d records were written, want %d", n, records)
			}
		}
		write(abi.SUCCESS, 0, nil)
		write(abi.SUCCESS, 2, append(userFrame(13), userFrame(0)...))
		write(abi.INVAL, 1, append(userFrame(8), 1, 2, 3))
		write(abi.INVAL, 1, append(userFrame(8), userFrame(8)[:12]...))
		write(abi.INVAL, 0, append(le32bytes(0xffffffff), make([]byte, 60)...))
		write(abi.INVAL, 0, userFrame(4096)) // larger than the ring with its header
		write(abi.AGAIN, 4, bytes.Repeat(userFrame(1000), 5))

		p.ok("share", m, "user-ring-of-a-test")
		other := p.handle("open_shared", "user-ring-of-a-test", abi.KindMap)
		p.want(abi.BUSY, "map_write_ring", other, userFrame(8), ptr(out.ptr))
	})
}

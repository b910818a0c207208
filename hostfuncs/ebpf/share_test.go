package ebpf

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// Two plugins of one process: one writes, the other sees it; one ends, the other goes on; after both nothing is left.
func TestTwoPluginsShareAMap(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			eng, err := open()
			must(t, err)
			t.Cleanup(func() { must(t, eng.Close()) })
			writer, reader := newPuppet(t, eng, session.Options{}), newPuppet(t, eng, session.Options{})
			m := writer.newMap(ebpf.Hash, 4, 8, 8)
			out := ptr(reader.room(4).ptr)
			reader.want(abi.NOENT, "open_shared", "two-plugins", abi.KindMap, out)
			writer.ok("share", m, "two-plugins")
			seen := reader.handle("open_shared", "two-plugins", abi.KindMap)
			reader.want(abi.EXIST, "share", seen, "two-plugins")
			writer.want(abi.INVAL, "share", m, "../two")

			writer.ok("map_update", m, native32(1), native64(42), uint64(0))
			value := reader.room(8)
			reader.ok("map_lookup", seen, native32(1), value, uint64(0))
			if got := binary.NativeEndian.Uint64(reader.read(value)); got != 42 {
				t.Errorf("the other plugin sees %d, want 42", got)
			}
			info := reader.room(64)
			reader.ok("map_info", seen, info)
			id := ebpf.MapID(decode[abi.MapInfo](reader, info).ID)

			must(t, writer.inst.Close()) // the plugin that made it ends
			reader.ok("map_update", seen, native32(2), native64(43), uint64(0))
			third := newPuppet(t, eng, session.Options{})
			again := third.handle("open_shared", "two-plugins", abi.KindMap)
			third.ok("map_lookup", again, native32(2), third.room(8), uint64(0))
			third.ok("close", again)
			reader.ok("close", seen)
			third.want(abi.NOENT, "open_shared", "two-plugins", abi.KindMap, ptr(third.room(4).ptr))
			waitGone(t, id)
		})
	}
}

// waitGone waits until the kernel has freed a map, which it does some time after the last descriptor was closed.
func waitGone(t *testing.T, id ebpf.MapID) {
	t.Helper()
	kerneltest.Eventually(t, "free the shared map", func() bool {
		m, err := ebpf.NewMapFromID(id)
		if err == nil {
			m.Close()
		}
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestTwoPluginsShareAnObject(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			eng, err := open()
			must(t, err)
			t.Cleanup(func() { must(t, eng.Close()) })
			opts := session.Options{Shared: &session.Shared{}}
			first, second := newPuppet(t, eng, opts), newPuppet(t, eng, opts)
			o := first.load(puppetObject)
			first.ok("share", o, "object")
			first.want(abi.EXIST, "share", o, "object")
			o2 := second.handle("open_shared", "object", abi.KindObject)
			second.want(abi.BUSY, "object_load", o2, 0)
			emit, a := second.handle("object_program", o2, "emit"), second.handle("object_map", o2, "ring_a")
			must(t, first.inst.Close())
			ev := second.events(a) // it goes on, counters of losses included
			second.emit(emit, 0, 100, 64, 0)
			buf, out := second.room(8192), second.room(24)
			second.ok("events_read", ev, buf, uint64(0), out)
			if b := decode[abi.Batch](second, out); b.Records != 56 || b.Lost != 44 || b.Flags != 0 {
				t.Errorf("batch %+v, want 56 records and 44 lost", b)
			}
			must(t, second.inst.Close())
			third := newPuppet(t, eng, opts)
			third.want(abi.NOENT, "open_shared", "object", abi.KindObject, ptr(third.room(4).ptr))
		})
	}
}

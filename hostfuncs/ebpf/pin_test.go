package ebpf

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

func TestPinsOutliveTheInstance(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := kerneltest.Bpffs(t)
	withOptions(t, session.Options{PinPath: filepath.Join(dir, "bowline")}, func(t *testing.T, p *puppet) {
		m := p.newMap(ebpf.Array, 4, 8, 1)
		prog, no := p.program("raw_tracepoint/sys_enter", counting(t, m))
		if no != abi.SUCCESS {
			t.Fatal(p.lastError())
		}
		link := p.handle("link_attach", prog, span{})
		p.ok("pin", m, "map")
		p.ok("pin", prog, "prog")
		p.ok("pin", link, "link")
		p.want(abi.EXIST, "pin", m, "link")
		p.want(abi.NOTSUP, "pin", p.handle("events_open"), "events")
		p.want(abi.INVAL, "pin", m, "a/b")
		p.want(abi.INVAL, "pin", m, ".hidden")
		must(t, p.inst.Close())

		out := ptr(p.room(4).ptr)
		p.want(abi.INVAL, "open_pinned", "link", abi.KindMap, out)
		p.want(abi.NOENT, "open_pinned", "nothing", abi.KindMap, out)
		p.want(abi.INVAL, "open_pinned", "map", 99, out)
		m = p.handle("open_pinned", "map", abi.KindMap)
		value := p.room(8)
		p.ok("map_lookup", m, native32(0), value, uint64(0))
		before := binary.NativeEndian.Uint64(p.read(value))
		_ = os.Getpid() // any system call is an event
		p.ok("map_lookup", m, native32(0), value, uint64(0))
		if now := binary.NativeEndian.Uint64(p.read(value)); now <= before {
			t.Errorf("the pinned link does not run: %d then %d", before, now)
		}
		prog = p.handle("open_pinned", "prog", abi.KindProgram)
		p.ok("program_info", prog, p.room(88))
		link = p.handle("open_pinned", "link", abi.KindLink)
		p.ok("link_info", link, p.room(32), p.room(100), ptr(p.room(4).ptr))
		for _, name := range []string{"map", "prog", "link"} {
			p.ok("unpin", name)
		}
		p.want(abi.NOENT, "unpin", "map")
	})
}

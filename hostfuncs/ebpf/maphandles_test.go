package ebpf

import (
	"encoding/binary"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// sockets are a connected TCP socket and a UDP socket of a group, of this process.
func sockets(t testing.TB) (tcp, udp int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	f, err := c.(*net.TCPConn).File()
	must(t, err)
	t.Cleanup(func() { f.Close() })
	udp, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { must(t, unix.Close(udp)) })
	must(t, unix.SetsockoptInt(udp, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	must(t, unix.Bind(udp, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return int(f.Fd()), udp
}

// returning loads a program that only returns a number.
func (p *puppet) returning(section string, n int32) int32 {
	p.t.Helper()
	prog, no := p.program(section, insns(p.t, asm.Mov.Imm(asm.R0, n), asm.Return()))
	if no != abi.SUCCESS {
		p.t.Fatalf("load a program of section %q: %s: %s", section, no, p.lastError())
	}
	return prog
}

// Where the kernel takes a descriptor in a key or a value, a guest writes a handle, and nothing else is taken.
func TestHandlesStandForDescriptors(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		tcp, udp := sockets(t)
		connected, bound := p.handle("socket_open", os.Getpid(), tcp), p.handle("socket_open", os.Getpid(), udp)
		process, cgroup := p.handle("process_open", os.Getpid()), p.handle("cgroup_open", kerneltest.Cgroup(t))
		file, err := os.CreateTemp(t.TempDir(), "")
		must(t, err)
		defer file.Close()
		inode := p.handle("file_open", file.Name())
		descriptor, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 1000) // no handle of this test has that number
		must(t, err)
		defer unix.Close(descriptor)
		array, prog := p.newMap(ebpf.Array, 4, 8, 1), p.returning("xdp", 2)
		all := []int32{connected, process, cgroup, inode, array, prog, p.handle("events_open")}
		inner := abi.MapOptions{KeySize: 4, ValueSize: 4, MaxEntries: 2, Inner: array}
		for _, tc := range []struct {
			typ   ebpf.MapType
			o     abi.MapOptions
			good  int32
			inKey bool
		}{
			{ebpf.ProgramArray, abi.MapOptions{KeySize: 4, ValueSize: 4, MaxEntries: 2}, prog, false},
			{ebpf.ArrayOfMaps, inner, array, false},
			{ebpf.HashOfMaps, inner, array, false},
			{ebpf.SockMap, abi.MapOptions{KeySize: 4, ValueSize: 8, MaxEntries: 2}, connected, false},
			{ebpf.SockHash, abi.MapOptions{KeySize: 4, ValueSize: 8, MaxEntries: 2}, connected, false},
			{ebpf.ReusePortSockArray, abi.MapOptions{KeySize: 4, ValueSize: 8, MaxEntries: 2}, bound, false},
			{ebpf.CGroupArray, abi.MapOptions{KeySize: 4, ValueSize: 4, MaxEntries: 2}, cgroup, false},
			{ebpf.XSKMap, abi.MapOptions{KeySize: 4, ValueSize: 4, MaxEntries: 2}, 0, false}, // nothing of a guest can be in it yet
			{ebpf.SkStorage, abi.MapOptions{KeySize: 4, ValueSize: 8}, connected, true},
			{ebpf.TaskStorage, abi.MapOptions{KeySize: 4, ValueSize: 8}, process, true},
			{ebpf.InodeStorage, abi.MapOptions{KeySize: 4, ValueSize: 8}, inode, true},
			{ebpf.CgroupStorage, abi.MapOptions{KeySize: 4, ValueSize: 8}, cgroup, true},
		} {
			m, ok := p.create(t, tc.typ, tc.o)
			if !ok {
				continue
			}
			size := int(p.info(m).EntrySize)
			args := func(h int32) (key, value []byte) {
				key, value = native32(1), make([]byte, size)
				if tc.inKey {
					key = le32bytes(uint32(h))
				} else {
					binary.LittleEndian.PutUint32(value, uint32(h))
				}
				return key, value
			}
			for _, h := range append(all, 0, -1, array|1<<16, int32(descriptor)) {
				if h == tc.good || h == connected && (tc.good == bound || tc.typ == ebpf.XSKMap) {
					continue
				}
				key, value := args(h)
				if no := p.call("map_update", m, key, value, uint64(0)); no != abi.BADF {
					t.Errorf("%s takes the handle %#x: %s: %s", tc.typ, uint32(h), no, p.lastError())
				}
				if tc.inKey {
					p.want(abi.BADF, "map_lookup", m, key, p.room(size), uint64(0))
					p.want(abi.BADF, "map_delete", m, key)
				}
			}
			if tc.good == 0 {
				continue
			}
			key, value := args(tc.good)
			if no := p.call("map_update", m, key, value, uint64(0)); no == abi.NOTSUP && tc.typ == ebpf.InodeStorage {
				t.Logf("not on this kernel: %s", p.lastError()) // 5.10 has it only with the BPF LSM
				continue
			} else if no != abi.SUCCESS {
				t.Fatalf("map_update: %s: %s", no, p.lastError())
			}
			if tc.inKey {
				p.ok("map_lookup", m, key, p.room(size), uint64(0))
				p.want(abi.INVAL, "map_next_key", m, span{}, p.room(4))
				p.want(abi.INVAL, "map_lookup_and_delete", m, key, p.room(size), uint64(0))
			}
			if tc.typ == ebpf.ArrayOfMaps || tc.typ == ebpf.HashOfMaps {
				again := p.handle("map_inner", m, key)
				if p.info(again).ID != p.info(array).ID {
					t.Errorf("%s: map_inner opens map %d, want %d", tc.typ, p.info(again).ID, p.info(array).ID)
				}
				p.want(abi.NOENT, "map_inner", m, native32(0), ptr(p.room(4).ptr))
				p.want(abi.INVAL, "map_inner", m, native64(0), ptr(p.room(4).ptr))
				p.ok("close", again)
			}
			p.ok("map_delete", m, key)
			p.want(abi.INVAL, "map_update", m, key, append(value, 0), uint64(0))
			p.ok("close", m)
		}
	})
}

// create makes a map, unless this kernel has no such type.
func (p *puppet) create(t *testing.T, typ ebpf.MapType, o abi.MapOptions) (int32, bool) {
	t.Helper()
	o.Type = uint32(typ)
	out := p.room(4)
	switch no := p.call("map_create", encode(t, &o), "made", ptr(out.ptr)); no {
	case abi.SUCCESS:
		return int32(p.u32(out.ptr)), true
	case abi.NOTSUP:
		t.Logf("not on this kernel: %s", p.lastError())
	default:
		t.Errorf("create a %s: %s: %s", typ, no, p.lastError())
	}
	return 0, false
}

// Device and CPU maps hold numbers, and a program by its handle.
func TestForwardingMapsTakeNumbersAndPrograms(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		array := p.newMap(ebpf.Array, 4, 8, 1)
		for typ, tc := range map[ebpf.MapType]struct {
			section string
			number  uint32 // of the loopback device, or the length of a queue
		}{ebpf.DevMap: {"xdp/devmap", 1}, ebpf.DevMapHash: {"xdp/devmap", 1}, ebpf.CPUMap: {"xdp/cpumap", 64}} {
			m, ok := p.create(t, typ, abi.MapOptions{KeySize: 4, ValueSize: 8, MaxEntries: 2})
			if !ok {
				continue
			}
			value := func(h int32) []byte { return append(native32(tc.number), le32bytes(uint32(h))...) }
			prog := p.returning(tc.section, 2)
			p.ok("map_update", m, native32(0), value(prog), uint64(0))
			p.ok("map_update", m, native32(0), value(0), uint64(0))
			for _, h := range []int32{array, -1, 1, m} {
				p.want(abi.BADF, "map_update", m, native32(0), value(h), uint64(0))
			}
			p.want(abi.INVAL, "map_update", m, native32(0), value(prog)[:7], uint64(0))
			if typ != ebpf.CPUMap { // there the kernel says that it has no memory
				p.want(abi.INVAL, "map_update", m, native32(0), value(p.returning("xdp", 2)), uint64(0)) // not made for this place
			}
		}
	})
}

func TestMapsAreRefusedForWhatTheyAre(t *testing.T) {
	withOptions(t, session.Options{MapMemory: 1 << 20}, func(t *testing.T, p *puppet) {
		for _, tc := range []struct {
			what string
			o    abi.MapOptions
			name string
			want abi.Errno
		}{
			{"no type", abi.MapOptions{KeySize: 4, ValueSize: 8, MaxEntries: 1}, "", abi.INVAL},
			{"an unknown type", abi.MapOptions{Type: 4000, KeySize: 4, ValueSize: 8, MaxEntries: 1}, "", abi.INVAL},
			{"struct_ops", abi.MapOptions{Type: uint32(ebpf.StructOpsMap), KeySize: 4, ValueSize: 8, MaxEntries: 1}, "", abi.INVAL},
			{"no key", abi.MapOptions{Type: uint32(ebpf.Hash), ValueSize: 8, MaxEntries: 1}, "", abi.INVAL},
			{"an array with keys of 8 bytes", abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 8, ValueSize: 8, MaxEntries: 1}, "", abi.INVAL},
			{"no entries", abi.MapOptions{Type: uint32(ebpf.Hash), KeySize: 4, ValueSize: 8}, "", abi.INVAL},
			{"a ring of no power of two", abi.MapOptions{Type: uint32(ebpf.RingBuf), MaxEntries: 5000}, "", abi.INVAL},
			{"more than the budget", abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 1 << 20}, "", abi.NOMEM},
			{"more than any kernel takes", abi.MapOptions{Type: uint32(ebpf.PerCPUArray), KeySize: 4, ValueSize: 8, MaxEntries: 1<<32 - 1}, "", abi.TOOBIG},
			{"a map of maps without an inner one", abi.MapOptions{Type: uint32(ebpf.ArrayOfMaps), KeySize: 4, ValueSize: 4, MaxEntries: 1}, "", abi.INVAL},
			{"an inner map that is none", abi.MapOptions{Type: uint32(ebpf.ArrayOfMaps), KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: 99}, "", abi.BADF},
			{"a reserved field", abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 1, Reserved: 1}, "", abi.INVAL},
			{"a flag for descriptors", abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: 1 << 16}, "", abi.INVAL},
			{"a long name", abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 1}, "sixteen_letters_", abi.INVAL},
			{"a name with a slash", abi.MapOptions{Type: uint32(ebpf.Array), KeySize: 4, ValueSize: 8, MaxEntries: 1}, "a/b", abi.INVAL},
		} {
			if no := p.call("map_create", encode(t, &tc.o), tc.name, ptr(p.room(4).ptr)); no != tc.want {
				t.Errorf("%s: got %s, want %s: %s", tc.what, no, tc.want, p.lastError())
			}
		}
		if p.inst.s.Memory() != 1<<20 || p.inst.s.Open() != 0 {
			t.Errorf("%d bytes of the budget are left and %d handles open", p.inst.s.Memory(), p.inst.s.Open())
		}
	})
}

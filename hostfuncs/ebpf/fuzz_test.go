package ebpf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// fuzzPages is the memory of a guest in FuzzCalls: small, because all of it is compared after each call.
const fuzzPages = 4

// FuzzCalls lets two guests of one process call the functions of the contract in any order, with any values. Whatever they do, each
// call answers an errno that the contract allows it, writes nowhere but into the buffers that it was given, and takes no handle that
// the guest does not have; afterwards nothing is left in the kernel.
func FuzzCalls(f *testing.F) {
	w := newWorld(f)
	for _, seed := range fuzzSeeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script []byte) { w.run(t, script) })
}

// stepLen is how many bytes of a script decide about one call; missing ones are zero.
const stepLen = 32

// world is what all runs of one process share.
type world struct {
	mod     engine.Module
	names   map[string]string
	objects [][]byte // BPF objects
	sockets []int
	ns      *kerneltest.NS
	pins    string
	funcs   []abi.Func
	maps    []ebpf.MapID // of the run before, which the kernel should have freed by now
	progs   []ebpf.ProgramID
}

func newWorld(f *testing.F) *world {
	kerneltest.RequireRoot(f)
	w := &world{ns: kerneltest.Netns(f), pins: kerneltest.Bpffs(f) + "/pins", funcs: weighted(abi.Functions())}
	kerneltest.Veth(f, "va", "vb")
	w.names = map[string]string{"uplink": "va", "group": kerneltest.Cgroup(f), "self": "/proc/self/exe"}
	for _, typ := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM, unix.SOCK_STREAM} {
		fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0)
		must(f, err)
		f.Cleanup(func() { must(f, unix.Close(fd)) })
		w.sockets = append(w.sockets, fd)
	}
	must(f, unix.Listen(w.sockets[1], 1))
	for _, path := range []string{puppetObject, variables, "../../bpf/testdata/hooks_net.bpf.o", "../../bpf/testdata/hooks_trace.bpf.o", "../../bpf/testdata/hooks_cgroup.bpf.o"} {
		w.objects = append(w.objects, file(f, path))
	}
	eng, err := engines["wazero"]()
	must(f, err)
	w.mod, err = eng.Compile(context.Background(), puppetModule(fuzzPages))
	must(f, err)
	f.Cleanup(func() { must(f, errors.Join(w.mod.Close(), eng.Close())) })
	return w
}

// slow are the functions that take long enough to be called seldom.
var slow = []string{"kernel_symbol", "kernel_symbolize", "process_symbolize", "kernel_probe"}

// weighted lists the functions, those that are quick several times.
func weighted(all []abi.Func) (list []abi.Func) {
	for range 3 {
		for _, f := range all {
			if !slices.Contains(slow, f.Name) {
				list = append(list, f)
			}
		}
	}
	for _, f := range all {
		if slices.Contains(slow, f.Name) {
			list = append(list, f)
		}
	}
	return list
}

// guest is one of the two, with what it has open as the calls so far should have left it.
type guest struct {
	*puppet
	open  map[int32]uint32 // kinds by handle
	wild  map[int32]bool   // made of bytes that nobody wrote: never attached and never run
	order []int32          // every handle that was given out
	pins  map[string]bool
	ended bool
}

// run is one script.
func (w *world) run(t *testing.T, script []byte) {
	w.ns.Enter(t)
	before := descriptors(t)
	shared := &session.Shared{}
	var guests [2]*guest
	for i := range guests {
		guests[i] = w.guest(t, shared)
	}
	for range 3 { // so that the same numbers do not mean objects of both
		h := guests[1].handle("events_open")
		guests[1].ok("close", h)
	}
	s := &calls{world: w}
	for step := range slices.Chunk(script[:min(len(script), 64*stepLen)], stepLen) {
		s.b = step
		b := s.byte()
		s.me, s.other = guests[b&1], guests[b&1^1]
		switch {
		case s.me.ended:
		case b>>1 == 0x7f: // it ends, the other one goes on
			w.noteIDs(guests[:])
			s.me.end(t)
		default:
			s.call(t, b)
		}
	}
	w.noteIDs(guests[:])
	for _, g := range guests {
		g.end(t)
	}
	w.unpin(t, guests[:])
	for _, d := range descriptors(t) {
		if !slices.Contains(before, d) {
			t.Fatalf("descriptor %s was left", d)
		}
	}
	if crc32.ChecksumIEEE(script)%4 == 0 { // waiting for the kernel takes most of the time
		w.gone(t)
	}
	w.maps, w.progs = nil, nil
}

func (w *world) guest(t *testing.T, shared *session.Shared) *guest {
	opts := session.Options{MapMemory: fuzzMemory, Programs: 12, Links: 6, Rings: 3, Files: 60, Handles: 24, Names: w.names, Shared: shared, PinPath: w.pins}
	return &guest{puppet: instantiate(t, w.mod, opts), open: map[int32]uint32{}, wild: map[int32]bool{}}
}

// end is the end of a guest, which may come twice.
func (g *guest) end(t *testing.T) {
	g.open, g.ended = nil, true
	must(t, g.inst.Close())
	if n := g.inst.s.Open(); n != 0 {
		t.Fatalf("%d handles are open after the end", n)
	}
	if left := g.inst.s.Memory(); left > fuzzMemory {
		t.Fatalf("%d bytes were given back too often", left-fuzzMemory)
	}
	for limit, n := range g.inst.s.Budget().Used() {
		held := limit == "programs" || limit == "links" // by pins, and by the other guest
		if n < 0 || n > 0 && !held {
			t.Fatalf("%d %s are in use after the end", n, limit)
		}
	}
}

// unknownFields says that a structure before the bad pointer was not usable, which decides the errno.
func unknownFields(no abi.Errno, err error) bool {
	return no == abi.INVAL && err != nil && strings.Contains(err.Error(), "has fields that this host does not know")
}

// fuzzMemory is what the maps of a guest may take.
const fuzzMemory = 2 << 20

// descriptors are what this process has open, but for what the Go runtime has, and the C library for a moment in a new thread.
func descriptors(t testing.TB) (list []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(to, "/proc/") && !strings.HasPrefix(to, "/sys/devices/system/cpu/") && to != "anon_inode:[eventfd]" && to != "anon_inode:[eventpoll]" {
			list = append(list, e.Name()+" "+to)
		}
	}
	slices.Sort(list)
	return list
}

// noteIDs keeps the numbers of the maps and programs that guests have open.
func (w *world) noteIDs(guests []*guest) {
	for _, g := range guests {
		for h, kind := range g.open {
			switch kind {
			case abi.KindMap:
				// Others on this machine may open a program array at the wrong moment: see gone.
				if m, err := g.inst.s.Map(h); err == nil && m.Type() != ebpf.ProgramArray {
					if info, err := m.Info(); err == nil {
						w.maps = append(w.maps, ebpf.MapID(info.ID))
					}
				}
			case abi.KindProgram:
				if p, err := g.inst.s.Program(h); err == nil {
					if info, err := p.Info(); err == nil {
						w.progs = append(w.progs, ebpf.ProgramID(info.ID))
					}
				}
			}
		}
	}
}

// gone waits until the kernel has let go of what the guests had open. It looks without opening: Linux 6.18 at least never frees a
// program array that is opened while it is being freed.
func (w *world) gone(t *testing.T) {
	for _, id := range w.maps {
		kerneltest.Eventually(t, fmt.Sprintf("free map %d", id), func() bool {
			next, err := ebpf.MapGetNextID(id - 1)
			return err != nil || next != id
		})
	}
	for _, id := range w.progs {
		kerneltest.Eventually(t, fmt.Sprintf("free program %d", id), func() bool {
			next, err := ebpf.ProgramGetNextID(id - 1)
			return err != nil || next != id
		})
	}
}

// unpin removes the pins, which must be those that were made and not removed.
func (w *world) unpin(t *testing.T, guests []*guest) {
	want := map[string]bool{}
	for _, g := range guests {
		for name, made := range g.pins {
			want[name] = made || want[name]
		}
	}
	entries, err := os.ReadDir(w.pins)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("nobody pinned %q", e.Name())
		}
		must(t, os.Remove(w.pins+"/"+e.Name()))
	}
}

// call makes one call and looks at all that it did.
func (s *calls) call(t *testing.T, how byte) {
	g := s.me
	f := s.world.funcs[int(s.byte())%len(s.world.funcs)]
	ctx := context.Background()
	if how&0xf0 == 0xf0 {
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		ctx = stopped
	}
	s.begin(f, ctx.Err() != nil)
	for i, p := range f.Params {
		s.param(i, p)
	}
	if s.skip {
		return
	}
	before := bytes.Clone(g.in.Memory())
	no := g.try(ctx, f.Name, s.values...)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s(%x) = %s: %s\n%s\nlast_error: %s", f.Name, s.values, no, fmt.Sprintf(format, args...), s.story(), explain(g.inst.last))
	}
	var kernels unix.Errno
	if raw := Errno(g.inst.last); !allowed(f, no) || no == abi.IO && (raw != no || !errors.As(g.inst.last, &kernels)) {
		fail("the contract does not name %s", raw)
	}
	if at := changed(before, g.in.Memory(), s.writable); at >= 0 {
		fail("it wrote at %#x, outside of %x", at, s.writable)
	}
	bad := s.faults + s.handles + s.texts
	switch {
	case no == abi.SUCCESS && bad+s.nested > 0:
		fail("%d pointers, %d handles, %d texts and %d inner handles were bad", s.faults, s.handles, s.texts, s.nested)
	case bad > 0 && !bytes.Equal(before, g.in.Memory()):
		fail("it wrote although a parameter was bad")
	case no == abi.FAULT && s.faults == 0:
		fail("all pointers were good")
	case s.faults == bad && bad > 0 && no != abi.FAULT && s.size <= 4096 && !unknownFields(no, g.inst.last):
		fail("want FAULT")
	case s.handles == bad && bad > 0 && no != abi.BADF:
		fail("want BADF")
	}
	if no == abi.SUCCESS {
		s.keep(fail)
	}
	if n := g.inst.s.Open(); n != len(g.open) {
		fail("%d handles are open, want %d", n, len(g.open))
	}
}

// keep notes what a call that worked has opened or closed.
func (s *calls) keep(fail func(string, ...any)) {
	g, f := s.me, s.f
	switch f.Name {
	case "close":
		delete(g.open, int32(s.values[0]))
	case "pin", "unpin":
		if g.pins == nil {
			g.pins = map[string]bool{}
		}
		g.pins[s.text] = f.Name == "pin"
	}
	for i, p := range f.Params {
		if p.Kind != abi.OutHandle {
			continue
		}
		h := int32(binary.LittleEndian.Uint32(g.in.Memory()[s.at[i]:]))
		if h <= 0 || slices.Contains(g.order, h) {
			fail("handle %#x is no new one", h)
		}
		kind := kindNumber(p.Of)
		if p.Of == "any" {
			kind = s.kind
		}
		g.open[h], g.wild[h] = kind, s.wild
		g.order = append(g.order, h)
	}
}

// allowed reports whether the contract names an errno for a function.
func allowed(f abi.Func, no abi.Errno) bool {
	is := func(c abi.Case) bool { return c.Errno == no }
	return no == abi.SUCCESS || slices.ContainsFunc(f.Errnos, is) || slices.ContainsFunc(abi.Common(), is)
}

// changed is where two memories differ outside of some spans, -1 if they do not.
func changed(before, after []byte, spans []span) int {
	for _, s := range spans {
		copy(before[s.ptr:s.ptr+s.len], after[s.ptr:])
	}
	if bytes.Equal(before, after) {
		return -1
	}
	for i := range before {
		if before[i] != after[i] {
			return i
		}
	}
	return len(before)
}

func kindNumber(name string) uint32 {
	for _, n := range abi.Enums()[0].Numbers {
		if n.Name == name {
			return uint32(n.Value)
		}
	}
	return 0
}

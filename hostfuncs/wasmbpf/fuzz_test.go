package wasmbpf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// FuzzCalls lets a guest call the host functions in any order, with any numbers,
// also from inside its callback. Whatever it does, a call ends with a result or
// with the guest's own trap, and the guest's memory outside of the buffers that it
// named stays as it was. When the guest has ended, no descriptor is left.
func FuzzCalls(f *testing.F) {
	kerneltest.RequireRoot(f)
	f.Add([]byte{opLoad, 0, opMap, 0, 0, opPoll, 0, 0, 1, 0, opClose, 0})
	f.Add([]byte{opLoad, 0, opMap, 0, 2, opUpdate, 0, 1, opLookup, 0, 1, opNext, 0, 1, opDelete, 0, 1, opClose, 0, opLookup, 0, 1})
	f.Add([]byte{opLoad, 0, opLoad, 0, opMap, 0, 0, opMap, 1, 1, opAttach, 0, 3, opEmit, 0, 9, opPoll, 0, 0, 1, 0, opPoll, 0, 1, 2, 0})
	f.Add([]byte{opRaw, 4, 255, 255, 255, 255, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, script []byte) {
		eng, err := engines["wazero"]()
		if err != nil {
			t.Fatal(err)
		}
		before := descriptors(t)
		t.Cleanup(func() { // the last of the cleanups
			for _, d := range descriptors(t) {
				if !slices.Contains(before, d) {
					t.Errorf("descriptor %s was left", d)
				}
			}
		})
		p := newPuppet(t, eng, "puppet", session.Options{MapMemory: 8 << 20, Handles: 64})
		t.Cleanup(func() { closeAll(t, eng.Close) })
		s := &calls{p: p, b: script}
		p.record = s.record
		fence := bytes.Repeat([]byte{0x5a}, fenceLen)
		copy(p.in.Memory()[fenceAt:], fence)
		for steps := 0; len(s.b) > 0 && steps < 200; steps++ {
			if err := s.step(context.Background()); err != nil {
				var trap *engine.Trap
				if !errors.As(err, &trap) {
					t.Fatalf("a call failed with %v, which is not the guest's trap", err)
				}
				break
			}
		}
		if !bytes.Equal(p.in.Memory()[fenceAt:fenceAt+fenceLen], fence) {
			t.Error("a host function wrote where the guest did not say")
		}
	})
}

// descriptors are what this process has open, but for what the Go runtime has, and the C library for a moment in a new thread.
func descriptors(t testing.TB) (list []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		own := strings.HasPrefix(to, "/proc/") || strings.HasPrefix(to, "/sys/devices/system/cpu/") || to == "anon_inode:[eventfd]" || to == "anon_inode:[eventpoll]"
		if err == nil && !own {
			list = append(list, e.Name()+" "+to)
		}
	}
	return list
}

// Memory that no call of the script names.
const (
	fenceAt  = 900 << 10
	fenceLen = 64 << 10
)

// The steps of a script: one byte, and its operands.
const (
	opLoad = iota
	opClose
	opMap
	opAttach
	opPoll
	opLookup
	opUpdate
	opDelete
	opNext
	opEmit
	opRaw
	opCount
)

var (
	fuzzNames   = []string{"ring_a", "ring_b", "hash", "percpu", "queue", "perf", "socks", "", "nope"}
	fuzzProgs   = []string{"pass", "ops", "emit", "emit_perf", "probe", "nowhere", "msg", "", "nope"}
	fuzzTargets = []string{"", "nosuchif", "lo:sideways", "/no/such/cgroup", "socks", "/bin/nothing:main", "::", "../.."}
	rawCalls    = []string{"load", "close", "attach", "map", "poll", "op", "poll_export"}
)

// calls is the rest of a script and what it has opened.
type calls struct {
	p       *puppet
	b       []byte
	objects []uint64
	maps    []uint64
	depth   int
}

func (s *calls) next() uint64 {
	if len(s.b) == 0 {
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return uint64(v)
}

func pick[T any](list []T, i uint64) (v T) {
	if len(list) == 0 {
		return v
	}
	return list[i%uint64(len(list))]
}

// record is the callback: it goes on with the script, so that calls nest.
func (s *calls) record(ctx context.Context, _ []byte, _ uint32) (int32, error) {
	if s.depth > 3 {
		return 0, nil
	}
	s.depth++
	defer func() { s.depth-- }()
	err := s.step(ctx)
	return int32(s.next()) - 8, err
}

func (s *calls) step(ctx context.Context) error {
	p := s.p
	if p.next > 256<<10 {
		p.next = 4096 // strings of earlier steps are not needed any more
	}
	call := func(name string, args ...uint64) (int64, error) {
		result, err := p.try(ctx, name, args...)
		if err == nil && result < -4095 {
			p.t.Fatalf("%s(%x) answers %d, which is no error number", name, args, result)
		}
		return result, err
	}
	switch s.next() % opCount {
	case opLoad:
		if len(s.objects) > 3 {
			return nil
		}
		elf := testdata(p.t, "puppet.bpf.o")
		if i := s.next() << 5; i > 0 && i < uint64(len(elf)) {
			elf[i] ^= byte(s.next())
		}
		obj, err := call("load", p.put(elf), uint64(len(elf)))
		if obj > 0 {
			s.objects = append(s.objects, uint64(obj))
		}
		return err
	case opClose:
		_, err := call("close", pick(s.objects, s.next()))
		return err
	case opMap:
		fd, err := call("map", pick(s.objects, s.next()), p.str(pick(fuzzNames, s.next())))
		if fd > 0 {
			s.maps = append(s.maps, uint64(fd))
		}
		return err
	case opAttach:
		_, err := call("attach", pick(s.objects, s.next()), p.str(pick(fuzzProgs, s.next())), p.str(pick(fuzzTargets, s.next())))
		return err
	case opPoll:
		_, err := call("poll", pick(s.objects, s.next()), pick(s.maps, s.next()), s.next()%8, 0, pollBuffer, s.next(), 0)
		return err
	case opEmit:
		if o, ok := p.state.object(pick(s.objects, s.next())); ok {
			if _, err := o.obj.Program("emit"); err == nil {
				p.emit(uint64(o.handle), uint32(s.next()%2), uint32(s.next()), uint32(s.next()), 0)
			}
		}
		return nil
	case opRaw:
		name := pick(rawCalls, s.next())
		typ, _ := p.in.HasExport(name)
		args := make([]uint64, len(typ.Params))
		for i := range args {
			var raw [8]byte
			n := copy(raw[:], s.b[:min(len(s.b), 4)])
			s.b = s.b[n:]
			args[i] = binary.LittleEndian.Uint64(raw[:])
		}
		if name == "poll" || name == "poll_export" {
			args[len(args)-1] = 0 // do not wait
		}
		if writes(name, args) {
			return nil
		}
		_, err := call(name, args...)
		return err
	default:
		cmd := map[uint64]uint64{0: cmdLookup, 1: cmdUpdate, 2: cmdDelete, 3: cmdNextKey}[s.next()%4]
		_, err := call("op", pick(s.maps, s.next()), cmd, p.u32(uint32(s.next())), p.put(make([]byte, 256)), p.u64(0), s.next()<<s.next())
		return err
	}
}

// writes tells whether a raw call may be told by the guest to write into the fence.
func writes(name string, args []uint64) bool {
	near := func(p uint64) bool { p = uint64(uint32(p)); return p+1<<16 > fenceAt && p < fenceAt+fenceLen }
	switch name {
	case "poll":
		return near(args[4])
	case "poll_export":
		return near(args[3])
	case "op":
		return near(args[3]) || near(args[4])
	}
	return false
}

package wasmbpf

import (
	"bytes"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
)

// The results of the ancestor's C++ runtime, which plugins rely on.
func TestMapOperateAnswersAsTheAncestor(t *testing.T) {
	const exist, noexist = 2, 1
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "hash")
		key, value, next := p.u32(1), p.u64(42), p.u32(0)
		for _, step := range []struct {
			what  string
			cmd   uint64
			key   uint64
			flags uint64
			want  int64
		}{
			{"lookup miss", cmdLookup, key, 0, -int64(unix.ENOENT)},
			{"delete missing", cmdDelete, key, 0, -int64(unix.ENOENT)},
			{"update EXIST on missing", cmdUpdate, key, exist, -int64(unix.ENOENT)},
			{"first key of an empty map", cmdNextKey, 0, 0, -int64(unix.ENOENT)},
			{"update", cmdUpdate, key, 0, 0},
			{"update NOEXIST on existing", cmdUpdate, key, noexist, -int64(unix.EEXIST)},
			{"update with unknown flags", cmdUpdate, key, 0xff00, -int64(unix.EINVAL)},
			{"lookup", cmdLookup, key, 0, 0},
			{"first key", cmdNextKey, 0, 0, 0},
			{"next key after the last", cmdNextKey, key, 0, -int64(unix.ENOENT)},
			{"delete", cmdDelete, key, 0, 0},
			{"unknown command", 0, key, 0, -int64(unix.EINVAL)},
			{"unknown command 5", 5, key, 0, -int64(unix.EINVAL)},
			{"unknown command with a bad pointer", math.MaxUint32, math.MaxUint32, 0, -int64(unix.EINVAL)},
		} {
			if got := p.call("op", fd, step.cmd, step.key, value, next, step.flags); got != step.want {
				t.Errorf("%s = %d, want %d", step.what, got, step.want)
			}
		}
	})
}

func TestMapOperateMovesTheGuestsBytes(t *testing.T) {
	for _, guest := range []string{"puppet", "puppet64"} {
		withGuest(t, guest, func(t *testing.T, p *puppet) {
			obj := p.load("puppet.bpf.o")
			fd := p.mapOf(obj, "hash")
			for i := range uint32(8) {
				if got := p.call("op", fd, cmdUpdate, p.u32(i), p.u64(uint64(i)<<40|5), 0, 0); got != 0 {
					t.Fatalf("update %d = %d", i, got)
				}
			}
			if got := p.call("op", fd, cmdUpdate, p.u32(9), p.u64(0), 0, 0); got != -int64(unix.E2BIG) {
				t.Errorf("update of the full map = %d, want -E2BIG", got)
			}
			seen, key, next := 0, uint64(0), p.u32(0)
			value := p.u64(0)
			for p.call("op", fd, cmdNextKey, key, 0, next, 0) == 0 {
				seen++
				if got := p.call("op", fd, cmdLookup, next, value, 0, 0); got != 0 {
					t.Fatalf("lookup = %d", got)
				}
				k := uint64(p.in.Memory()[next])
				if got, want := p.readU64(value), k<<40|5; got != want {
					t.Errorf("value of key %d = %#x, want %#x", k, got, want)
				}
				key = p.put(p.in.Memory()[next : next+4])
			}
			if seen != 8 {
				t.Errorf("iteration saw %d keys, want 8", seen)
			}
		})
	}
}

func TestMapOperateRefusesForeignHandles(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "hash")
		key, value := p.u32(1), p.u64(1)
		// Any descriptor of the process: standard streams, the map's own, the rest.
		wrong := []uint64{fd + 1, math.MaxUint32, 1 << 31}
		for real := uint64(0); real < 64; real++ {
			if real != fd {
				wrong = append(wrong, real)
			}
		}
		for _, h := range wrong {
			for cmd := range uint64(6) {
				if got := p.call("op", h, cmd, key, value, key, 0); got != -int64(unix.EBADFD) {
					t.Errorf("command %d on handle %d = %d, want -EBADFD", cmd, int32(h), got)
				}
			}
		}
	})
}

func TestMapOperateChecksEveryPointer(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "hash")
		good := p.u64(1)
		end := uint64(len(p.in.Memory()))
		p.call("op", fd, cmdUpdate, good, good, 0, 0)
		for _, bad := range []uint64{0, end, end - 3, math.MaxUint32} {
			for _, tc := range []struct {
				cmd              uint64
				key, value, next uint64
			}{
				{cmdLookup, bad, good, 0}, {cmdLookup, good, bad, 0}, {cmdUpdate, bad, good, 0}, {cmdUpdate, good, bad, 0},
				{cmdDelete, bad, good, 0}, {cmdNextKey, good, 0, bad},
			} {
				if got := p.call("op", fd, tc.cmd, tc.key, tc.value, tc.next, 0); got != -int64(unix.EFAULT) {
					t.Errorf("op(%d, %#x, %#x, %#x) = %d, want -EFAULT", tc.cmd, tc.key, tc.value, tc.next, got)
				}
			}
		}
	})
	withGuest(t, "puppet64", func(t *testing.T, p *puppet) {
		fd, good := p.mapOf(p.load("puppet.bpf.o"), "hash"), p.u64(1)
		for _, wide := range []uint64{1 << 32, 1<<32 | good, math.MaxUint64} {
			if got := p.call("op", fd, cmdLookup, wide, good, 0, 0); got != -int64(unix.EFAULT) {
				t.Errorf("a 64-bit pointer %#x = %d, want -EFAULT", wide, got)
			}
		}
	})
}

func TestQueueTakesANullKey(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd := p.mapOf(obj, "queue")
		if got := p.call("op", fd, cmdUpdate, 0, p.u64(77), 0, 0); got != 0 {
			t.Fatalf("push = %d", got)
		}
		value := p.u64(0)
		if got := p.call("op", fd, cmdLookup, 0, value, 0, 0); got != 0 {
			t.Fatalf("peek = %d", got)
		}
		if got := p.readU64(value); got != 77 {
			t.Errorf("peek read %d, want 77", got)
		}
		if !bytes.Equal(p.in.Memory()[:16], make([]byte, 16)) {
			t.Errorf("address 0 of the guest was written: % x", p.in.Memory()[:16])
		}
	})
}

func TestPerCPUValuesStayInTheGuestsBuffer(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		fd, key := p.mapOf(obj, "percpu"), p.u32(1)
		fence := bytes.Repeat([]byte{0xa5}, 4096)
		value := p.put(fence)
		if got := p.call("op", fd, cmdLookup, key, value, 0, 0); got != -int64(unix.EOPNOTSUPP) {
			t.Errorf("lookup without a CPU = %d, want -EOPNOTSUPP", got)
		}
		set := p.u32(123)
		if got := p.call("op", fd, cmdUpdate, key, set, 0, session.FlagAllCPUs); got != 0 {
			t.Fatalf("update of all CPUs = %d", got)
		}
		if got := p.call("op", fd, cmdLookup, key, value, 0, 0<<32|session.FlagCPU); got != 0 {
			t.Fatalf("lookup on CPU 0 = %d", got)
		}
		mem := p.in.Memory()[value:]
		if mem[0] != 123 || !bytes.Equal(mem[4:4096], fence[4:]) {
			t.Errorf("lookup wrote % x ..., want 4 bytes of 123 and nothing behind", mem[:16])
		}
		if got := p.call("op", fd, cmdLookup, key, value, 0, 1<<20<<32|session.FlagCPU); got != -int64(unix.ERANGE) {
			t.Errorf("lookup on CPU 2^20 = %d, want -ERANGE", got)
		}
	})
}

func TestUnknownMap(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		for _, name := range []uint64{p.str("nope"), p.str(""), uint64(len(p.in.Memory())), math.MaxUint32} {
			if got := p.call("map", obj, name); got != -int64(unix.EINVAL) {
				t.Errorf("map at %#x = %d, want -EINVAL", name, got)
			}
		}
		if a, b := p.mapOf(obj, "hash"), p.mapOf(obj, "hash"); a != b {
			t.Errorf("the same map has handles %d and %d", a, b)
		}
	})
}

// The kernel takes some values as descriptors of this process. A guest has handles.
func TestDescriptorsOfTheHostMeanNothing(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		obj := p.load("puppet.bpf.o")
		outer, calls, cpus := p.mapOf(obj, "outer"), p.mapOf(obj, "calls"), p.mapOf(obj, "cpus")
		inner, key := p.mapOf(obj, "inner"), p.u32(0)
		for fd := range uint32(64) {
			_, unknown := p.state.s.Map(int32(fd))
			if got := p.call("op", outer, cmdUpdate, key, p.u32(fd), 0, 0); unknown != nil && got != -int64(unix.EBADFD) {
				t.Errorf("map of maps takes descriptor %d: %d, want -EBADFD", fd, got)
			}
			if got := p.call("op", calls, cmdUpdate, key, p.u32(fd), 0, 0); got != -int64(unix.EOPNOTSUPP) {
				t.Errorf("program array takes descriptor %d: %d, want -EOPNOTSUPP", fd, got)
			}
			if got := p.call("op", cpus, cmdUpdate, key, p.u64(64|uint64(fd+1)<<32), 0, 0); got != -int64(unix.EOPNOTSUPP) {
				t.Errorf("CPU map takes program %d: %d, want -EOPNOTSUPP", fd+1, got)
			}
		}
		if got := p.call("op", outer, cmdUpdate, key, p.u32(uint32(inner)), 0, 0); got != 0 {
			t.Errorf("map of maps refuses the handle of a map: %d", got)
		}
		if got := p.call("op", cpus, cmdUpdate, key, p.u64(64), 0, 0); got != 0 {
			t.Errorf("CPU map refuses an entry without a program: %d", got)
		}
	})
}

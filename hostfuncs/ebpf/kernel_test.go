package ebpf

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// answer calls a function that writes a text and its length, the last two of whose parameters but rest they are.
func (p *puppet) answer(name string, before []any, rest ...any) string {
	p.t.Helper()
	buf, n := p.room(4096), p.room(4)
	p.ok(name, append(append(before, buf, ptr(n.ptr)), rest...)...)
	return string(p.read(span{buf.ptr, p.u32(n.ptr)}))
}

func TestKernelIsDescribed(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		room := p.room(structSize("kernel_info"))
		p.ok("kernel_info", room)
		var uts unix.Utsname
		must(t, unix.Uname(&uts))
		i := decode[abi.KernelInfo](p, room)
		if text := unix.ByteSliceToString(i.Release[:]); text != unix.ByteSliceToString(uts.Release[:]) {
			t.Errorf("release %q", text)
		}
		if int(i.CPUs) != ebpf.MustPossibleCPU() || i.OnlineCPUs == 0 || int(i.PageSize) != os.Getpagesize() || i.Version>>16 < 4 {
			t.Errorf("kernel_info %+v", i)
		}
		// A guest of an older version gives less room.
		short := p.room(8)
		p.ok("kernel_info", short)
		if p.u32(short.ptr) != i.Version {
			t.Error("a short structure does not begin with the version")
		}
	})
}

func TestProbesAnswerByName(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		for _, tc := range []struct {
			what uint32
			name string
			want abi.Errno
		}{
			{abi.ProbeProgram, "xdp", abi.SUCCESS}, {abi.ProbeProgram, "nonsense", abi.NOENT}, {abi.ProbeProgram, "unspec", abi.NOENT},
			{abi.ProbeMap, "hash", abi.SUCCESS}, {abi.ProbeMap, "", abi.NOENT},
			{abi.ProbeHelper, "xdp:bpf_redirect_map", abi.SUCCESS}, {abi.ProbeHelper, "xdp:bpf_no_such_helper", abi.NOENT},
			{abi.ProbeHelper, "xdp", abi.INVAL}, {abi.ProbeHelper, "nonsense:bpf_redirect_map", abi.NOENT},
			{abi.ProbeHook, "xdp", abi.SUCCESS}, {abi.ProbeHook, "nonsense", abi.NOENT}, {99, "xdp", abi.INVAL},
		} {
			if got := p.call("kernel_probe", tc.what, tc.name); got != tc.want {
				t.Errorf("probe %d %q: got %s, want %s: %s", tc.what, tc.name, got, tc.want, p.lastError())
			}
		}
	})
}

// What the kernel lacks is NOTSUP, whatever the kernel: each hook has the answer that the probe of the command gives.
func TestProbesOfHooksAnswerAsTheCommandDoes(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		for _, h := range abi.Hooks() {
			f := kernel.ProbeHook(h.Name)
			want, ok := map[kernel.ProbeAnswer]abi.Errno{kernel.ProbeYes: abi.SUCCESS, kernel.ProbeNo: abi.NOTSUP}[f.Answer]
			if !ok {
				want = abi.IO
			}
			if got := p.call("kernel_probe", abi.ProbeHook, h.Name); got != want {
				t.Errorf("hook %s, which is %q: got %s, want %s: %s", h.Name, f.Answer, got, want, p.lastError())
			}
		}
	})
}

func TestSymbolsAreFoundBothWays(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		out := p.room(8)
		p.ok("kernel_symbol", "schedule", ptr(out.ptr))
		address := p.u64(out.ptr)
		if got := p.answer("kernel_symbolize", []any{address + 1}, ptr(out.ptr)); got != "schedule" || p.u64(out.ptr) != 1 {
			t.Errorf("%#x is %q + %d", address+1, got, p.u64(out.ptr))
		}
		p.want(abi.NOENT, "kernel_symbol", "no_such_symbol_here", ptr(out.ptr))
		p.want(abi.NOENT, "kernel_symbolize", uint64(1), p.room(8), ptr(p.room(4).ptr), ptr(out.ptr))

		pid := os.Getpid()
		p.want(abi.SRCH, "process_symbolize", 1<<30, address, p.room(8), ptr(p.room(4).ptr), ptr(out.ptr))
		p.want(abi.INVAL, "process_symbolize", 0, address, p.room(8), ptr(p.room(4).ptr), ptr(out.ptr))
		p.want(abi.INVAL, "process_symbolize", int32(-1), address, p.room(8), ptr(p.room(4).ptr), ptr(out.ptr))
		p.want(abi.NOENT, "process_symbolize", pid, uint64(1), p.room(8), ptr(p.room(4).ptr), ptr(out.ptr))
	})
}

func TestTypesOfTheKernel(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		room := p.room(structSize("type_info"))
		p.ok("kernel_type", "task_struct", "", room)
		if i := decode[abi.TypeInfo](p, room); i.Size < 1000 || i.BitOffset != 0 || abi.BTFKinds()[i.Kind] != "struct" {
			t.Errorf("task_struct is %+v", i)
		}
		p.ok("kernel_type", "task_struct", "comm[3]", room)
		third := decode[abi.TypeInfo](p, room)
		p.ok("kernel_type", "struct task_struct", "comm", room)
		if whole := decode[abi.TypeInfo](p, room); whole.Size != 16 || third.Size != 1 || third.BitOffset != whole.BitOffset+24 {
			t.Errorf("comm is %+v, its fourth byte %+v", whole, third)
		}
		for _, tc := range [][2]string{{"no_such_type", ""}, {"", ""}, {"task_struct", "no_such_field"}, {"task_struct", "comm[16]"}, {"task_struct", "comm["}, {"task_struct", "."}} {
			if got := p.call("kernel_type", tc[0], tc[1], room); got != abi.NOENT && got != abi.INVAL {
				t.Errorf("%q: got %s", tc, got)
			}
		}
	})
}

func TestInterfacesAreListed(t *testing.T) {
	ns := kerneltest.Netns(t)
	kerneltest.Veth(t, "va", "vb")
	onEngines(t, func(t *testing.T, p *puppet) {
		ns.Enter(t)
		size, out := structSize("interface"), p.room(4)
		all, err := net.Interfaces()
		must(t, err)
		if len(all) != 3 {
			t.Fatalf("the test is in the wrong namespace: %v", all)
		}
		buf := p.room(size * len(all))
		p.ok("kernel_interfaces", buf, ptr(out.ptr))
		if int(p.u32(out.ptr)) != len(all) {
			t.Fatalf("%d devices, want %d", p.u32(out.ptr), len(all))
		}
		for n, want := range all {
			got := decode[abi.Interface](p, span{buf.ptr + uint32(n*size), uint32(size)})
			if int(got.Index) != want.Index || int(got.MTU) != want.MTU || unix.ByteSliceToString(got.Name[:]) != want.Name {
				t.Errorf("device %d is %+v, want %+v", n, got, want)
			}
		}
		// One and a half fit: the half stays as it is.
		one := p.room(size + size/2)
		p.ok("kernel_interfaces", one, ptr(out.ptr))
		if tail := p.read(span{one.ptr + uint32(size), uint32(size / 2)}); strings.Trim(string(tail), "\x00") != "" || int(p.u32(out.ptr)) != len(all) {
			t.Errorf("a part of a structure was written: %x", tail)
		}
	})
}

func TestCgroupsByPathAndNumber(t *testing.T) {
	group := kerneltest.Cgroup(t)
	withOptions(t, session.Options{Names: map[string]string{"box": group}}, func(t *testing.T, p *puppet) {
		out := p.room(8)
		p.ok("kernel_cgroup_id", group, ptr(out.ptr))
		id := p.u64(out.ptr)
		p.ok("kernel_cgroup_id", "box", ptr(out.ptr)) // a local name
		if p.u64(out.ptr) != id {
			t.Errorf("the local name is cgroup %d, want %d", p.u64(out.ptr), id)
		}
		if got := p.answer("kernel_cgroup_path", []any{id}); strings.Trim(got, "/") != group {
			t.Errorf("cgroup %d is at %q, want %q", id, got, group)
		}
		for _, name := range []string{"no-such-group", group + "/cgroup.procs", "/", "/etc/passwd", "..", strings.Repeat("a/", 1000)} {
			p.want(abi.NOENT, "kernel_cgroup_id", name, ptr(out.ptr))
			p.want(abi.NOENT, "cgroup_open", name, ptr(out.ptr))
		}
		p.want(abi.NOENT, "kernel_cgroup_path", uint64(1<<62), p.room(8), ptr(p.room(4).ptr))
		p.want(abi.NOENT, "kernel_cgroup_path", uint64(0), p.room(8), ptr(p.room(4).ptr))
	})
}

func TestClocksGoOn(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		out := p.room(8)
		for _, clock := range []uint32{abi.ClockMonotonic, abi.ClockBoottime, abi.ClockTAI} {
			p.ok("kernel_clock", clock, ptr(out.ptr))
			first := p.u64(out.ptr)
			p.ok("kernel_clock", clock, ptr(out.ptr))
			if second := p.u64(out.ptr); first == 0 || second < first || second-first > uint64(time.Minute) {
				t.Errorf("clock %d: %d, then %d", clock, first, second)
			}
		}
		for _, clock := range []uint32{0, 2, 99, 1<<32 - 1} {
			p.want(abi.INVAL, "kernel_clock", clock, ptr(out.ptr))
		}
	})
}

func TestThingsOfTheHostAreOpenedByName(t *testing.T) {
	withOptions(t, session.Options{Names: map[string]string{"root": "/"}}, func(t *testing.T, p *puppet) {
		tcp, _ := sockets(t)
		out := ptr(p.room(4).ptr)
		pid := os.Getpid()
		p.ok("socket_open", pid, tcp, out)
		p.want(abi.SRCH, "socket_open", 1<<30, tcp, out)
		null, err := os.Open("/dev/null")
		must(t, err)
		defer null.Close()
		p.want(abi.INVAL, "socket_open", pid, int(null.Fd()), out)
		p.ok("process_open", pid, out)
		p.want(abi.SRCH, "process_open", 1<<30, out)
		p.want(abi.INVAL, "process_open", 0, out)
		p.ok("file_open", "/proc/self/exe", out)
		p.ok("file_open", "root", out)
		for _, name := range []string{"", "/no/such/file", "/proc/self/exe/x", strings.Repeat("a", 300), "/proc/self/exe\n"} {
			p.want(abi.NOENT, "file_open", name, out)
		}
		pipe := t.TempDir() + "/pipe"
		must(t, unix.Mkfifo(pipe, 0o600))
		for _, name := range []string{"/dev/null", "/dev/ptmx", pipe} { // to open them does something
			p.want(abi.NOTSUP, "file_open", name, out)
		}
	})
}

package node

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/wasmfile"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// need is what the host needs to do what a grant allows.
type need struct {
	caps []kernel.Cap
	// read and write are what it opens beside what every plugin with BPF needs; where the target of a grant is a path, that too.
	read, write []string
	// target says that the grant's target is a path that the host opens, device that it is a device, netns a network namespace.
	target, device, netns bool
	// processes says that the host looks into other processes, which Landlock forbids whatever its rules are.
	processes bool
	// uprobes says that it probes programs, for which kernels before 6.6 ask for CAP_SYS_ADMIN.
	uprobes bool
	// perf says that it opens perf events, for which kernels of Debian and Ubuntu ask for CAP_SYS_ADMIN: see perfForbidden.
	perf bool
	// open are file systems that it must have, mounted or not.
	open []func() (*kernel.FS, error)
}

var (
	// Without CAP_PERFMON the verifier lets no program compute with pointers, as it must to skip the options of a packet or to measure
	// it: next to no compiled program loads so, whatever its type.
	programs = []kernel.Cap{kernel.CapBPF, kernel.CapPerfmon}
	nets     = []kernel.Cap{kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin}
	probes   = []kernel.Cap{kernel.CapBPF, kernel.CapPerfmon, kernel.CapDACReadSearch, kernel.CapSysPtrace}

	uprobes = need{caps: probes, processes: true, uprobes: true}

	tracefs = []func() (*kernel.FS, error){kernel.Tracefs}
	cgroups = []func() (*kernel.FS, error){kernel.Cgroup2}
)

// needs says, for every word of a policy, what the host needs for it. What the kernel asks for the types of programs that a word includes
// is in internal/kernel, and a test holds this table to it. More than that are CAP_SYS_ADMIN to walk the kernel's tables of BPF objects and
// to measure programs, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH to look into processes and files of other users, CAP_SYSLOG to see addresses
// of the kernel, CAP_NET_RAW for AF_XDP sockets.
var needs = map[string]need{
	"xdp": {caps: nets}, "tc": {caps: nets}, "tcx": {caps: nets}, "netkit": {caps: nets}, "netfilter": {caps: nets},
	"sk_lookup": {caps: nets, target: true, netns: true, read: []string{"/run/netns"}}, "flow_dissector": {caps: nets, target: true, netns: true, read: []string{"/run/netns"}},
	"socket": {caps: programs}, "sk_reuseport": {caps: programs}, "sk_msg": {caps: nets}, "sk_skb": {caps: nets},
	"cgroup": {caps: nets, open: cgroups}, "sockops": {caps: nets, open: cgroups},
	"lsm_cgroup": {caps: programs, open: cgroups},
	"tracepoint": {caps: programs, open: tracefs, perf: true}, "raw_tracepoint": {caps: programs}, "tp_btf": {caps: programs},
	"kprobe": {caps: programs, open: tracefs, perf: true}, "kretprobe": {caps: programs, open: tracefs, perf: true}, "kprobe.multi": {caps: programs, open: tracefs},
	"kretprobe.multi": {caps: programs, open: tracefs}, "kprobe.session": {caps: programs, open: tracefs},
	"ksyscall": {caps: programs, open: tracefs, perf: true}, "kretsyscall": {caps: programs, open: tracefs, perf: true},
	"fentry": {caps: programs}, "fexit": {caps: programs}, "fsession": {caps: programs},
	"uprobe": uprobes, "uretprobe": uprobes, "uprobe.multi": uprobes,
	"uretprobe.multi": uprobes, "uprobe.session": uprobes, "usdt": uprobes,
	"perf_event": {caps: []kernel.Cap{kernel.CapBPF, kernel.CapPerfmon, kernel.CapSysPtrace}, processes: true, perf: true},
	"iter":       {caps: programs, open: cgroups},
	"lsm":        {caps: programs}, "fmod_ret": {caps: programs}, "freplace": {caps: nets},
	"struct_ops": {caps: programs}, "lirc": {caps: nets, target: true, device: true},
	"prog": {}, "map": {}, // by name: see byName
	"test-run": {}, "live-frames": {caps: nets}, "helper": {}, "kfunc": {},
	"redirect": {caps: nets}, "xsk": {caps: []kernel.Cap{kernel.CapBPF, kernel.CapPerfmon, kernel.CapNetAdmin, kernel.CapNetRaw}},
	"share": {caps: []kernel.Cap{kernel.CapSysAdmin}}, "pin": {caps: []kernel.Cap{kernel.CapBPF}, write: []string{"/sys/fs/bpf"}},
	"symbols":         {caps: []kernel.Cap{kernel.CapSyslog}},
	"process-symbols": {caps: []kernel.Cap{kernel.CapSysPtrace, kernel.CapDACReadSearch}, processes: true},
	"process":         {}, "socket-of": {caps: []kernel.Cap{kernel.CapSysPtrace}, processes: true},
	"cgroup-id": {open: cgroups}, "file": {caps: []kernel.Cap{kernel.CapDACReadSearch}, target: true},
	"stats": {caps: []kernel.Cap{kernel.CapSysAdmin}},
	"dir":   {}, "env": {}, "network": {}, "clock": {}, "random": {},
}

// MostCapabilities are all that the process of a plugin may need, whatever the plugin is and the kernel.
func MostCapabilities() kernel.CapSet {
	all := kernel.Caps(kernel.CapDACReadSearch, kernel.CapDACOverride, kernel.CapFowner, kernel.CapSysAdmin, kernel.CapSysResource)
	for _, n := range needs {
		all |= kernel.Caps(n.caps...)
	}
	return all
}

// required adds up what a plugin needs.
type required struct {
	caps      kernel.CapSet
	paths     []confine.Path
	processes string // the word for whose sake it looks into processes
	bpf       bool
	uprobes   bool
	perf      bool
}

// requires works out what the host needs for a plugin. One that imports nothing but WASI needs its directories.
func requires(rights *policy.Rights, wasm []byte, dirs []engine.Dir) *required {
	r := &required{}
	for _, p := range []string{"/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/kernel/mm", "/etc/localtime",
		"/usr/share/zoneinfo", "/dev/null", "/dev/urandom"} {
		r.paths = append(r.paths, confine.Path{Name: p})
	}
	for _, d := range dirs {
		r.paths = append(r.paths, confine.Path{Name: d.Host, Write: d.Write})
		r.caps |= kernel.Caps(kernel.CapDACReadSearch)
		if d.Write {
			r.caps |= kernel.Caps(kernel.CapDACOverride, kernel.CapFowner)
		}
	}
	if !importsBPF(wasm) {
		return r
	}
	r.bpf = true
	r.caps |= kernel.Caps(kernel.CapBPF) // ordinary maps need no grant
	for _, p := range []string{"/proc", "/sys", "/boot", "/lib/modules", "/usr/lib/modules", "/usr/lib/debug"} {
		r.paths = append(r.paths, confine.Path{Name: p})
	}
	opens := []func() (*kernel.FS, error){kernel.Securityfs}
	for _, g := range rights.Grants() {
		n := needs[g.Word()]
		r.caps |= kernel.Caps(n.caps...) | byName(g)
		if n.processes {
			r.processes = g.Word()
		}
		r.uprobes, r.perf = r.uprobes || n.uprobes, r.perf || n.perf
		if len(n.open) > 0 && os.Geteuid() != 0 { // tracefs belongs to root
			r.caps |= kernel.Caps(kernel.CapDACReadSearch)
		}
		opens = append(opens, n.open...)
		for _, p := range n.read {
			r.paths = append(r.paths, confine.Path{Name: p})
		}
		for _, p := range n.write {
			r.paths = append(r.paths, confine.Path{Name: p, Write: true})
		}
		if n.target {
			r.addTarget(g, n)
		}
	}
	r.forKernel(kernel.Running())
	r.keep(opens)
	return r
}

// addTarget adds the place that a grant names.
func (r *required) addTarget(g policy.Grant, n need) {
	if g.Target() == "." { // the own network namespace
		return
	}
	p := confine.Path{Name: above(g.Target()), Write: n.device, Device: n.device}
	if n.netns && (p.Name == "/" || strings.HasPrefix(p.Name+"/", "/proc/")) { // /proc/PID/ns/net
		r.processes = g.Word()
		return
	}
	r.paths = append(r.paths, p)
}

// forKernel adds what older kernels ask for.
func (r *required) forKernel(v kernel.Version) {
	switch {
	case !v.AtLeast(5, 8):
		r.caps |= kernel.Caps(kernel.CapSysAdmin)
	case !v.AtLeast(6, 6) && r.uprobes, r.perf && perfForbidden():
		r.caps |= kernel.Caps(kernel.CapSysAdmin)
	}
	if !v.AtLeast(5, 11) {
		r.caps |= kernel.Caps(kernel.CapSysResource) // maps and programs count as locked memory
	}
}

// perfForbidden reports whether perf events take CAP_SYS_ADMIN: there is no such setting in Linux, but in what Debian and Ubuntu make of it.
func perfForbidden() bool {
	b, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return err == nil && n > 2
}

// keep opens file systems while the process may still do so without a mount.
func (r *required) keep(opens []func() (*kernel.FS, error)) {
	for _, open := range opens {
		path, err := kernel.Keep(open)
		if err != nil {
			continue // what needs it says so, if anything does
		}
		r.paths = append(r.paths, confine.Path{Name: path})
	}
}

// byName are the capabilities for what a grant names: types of programs and maps, and helpers.
func byName(g policy.Grant) kernel.CapSet {
	var all kernel.CapSet
	fits := func(name string) bool {
		ok, err := path.Match(g.Target(), name)
		return g.Target() == "" || ok || err != nil
	}
	switch g.Word() {
	case "prog":
		for i, name := range abi.ProgramTypes() {
			if fits(name) {
				all |= kernel.Caps(programs...) | kernel.Caps(kernel.ProgramCaps(ebpf.ProgramType(i))...)
			}
		}
	case "map":
		for i, name := range abi.MapTypes() {
			if fits(name) {
				all |= kernel.Caps(kernel.MapCaps(ebpf.MapType(i))...)
			}
		}
	case "helper": // those that work on packets and sockets need no more than their hook
		if h := g.Target(); !strings.Contains(h, "redirect") && h != "bpf_setsockopt" {
			all = kernel.Caps(kernel.CapPerfmon)
		}
	}
	return all
}

// importsBPF reports whether a module imports more than WASI. One that cannot be read is not run.
func importsBPF(wasm []byte) bool {
	file, err := wasmfile.Parse(wasm)
	if err != nil {
		return false
	}
	ours := map[string]bool{}
	for _, o := range Offers() {
		ours[o.Module] = true
	}
	return slices.ContainsFunc(file.Imports, func(i wasmfile.Import) bool { return ours[i.Module] })
}

// above is the deepest path that includes all that a pattern of paths matches.
func above(pattern string) string {
	i := strings.IndexAny(pattern, "*?")
	switch {
	case i == 0, pattern == "":
		return "/"
	case i < 0:
		return pattern
	}
	return filepath.Dir(pattern[:i] + "x")
}

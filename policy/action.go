package policy

import "strings"

// Kind is what a plugin is about to do.
type Kind uint8

// The kinds of action, with the fields of [Action] that each reads.
const (
	Attach         Kind = iota // Hook, Sub, Name, Symbol: see [Action]
	Load                       // Name: the type of program; for a better message also Hook, Sub and Symbol, what its section says
	TestRun                    //
	LiveFrames                 //
	Helper                     // Name: bpf_probe_read_user
	Kfunc                      // Name
	Map                        // Name: the type of map
	Redirect                   // Name: the interface whose index goes into a devmap
	XSK                        // Name: the interface
	Share                      // Name
	Pin                        // Name
	Symbols                    //
	ProcessSymbols             //
	Process                    //
	SocketOf                   //
	CgroupID                   //
	File                       // Name: the path
	Stats                      //
	Dir                        // Name: the path; Write
	Env                        // Name
	Network                    //
	Clock                      //
	Random                     //
	kinds
)

// Action is one thing that a plugin is about to do. Making one and checking it takes no memory.
//
// The words are those of the contract: hooks as in the table of hooks, types of programs and maps as the kernel has them, in lower case
// ("sched_cls", "devmap_hash"). For Attach, Name and Symbol are
//
//	xdp, tc, tcx, netkit             the interface
//	sk_lookup, flow_dissector        the path of the network namespace, "." for the host's own
//	cgroup, sockops, lsm_cgroup      the path below the root of cgroup v2, "/" for the root: see [CgroupPath]
//	tracepoint                       "category/name"
//	raw_tracepoint, tp_btf           the name of the tracepoint
//	kprobe, fentry, lsm, iter, ...   the function, hook or kind; for multi hooks also a pattern, or names with commas between them
//	uprobe, ...                      the file, and in Symbol the function, pattern, or names with commas between them
//	usdt                             the file, and "provider:name"
//	netfilter                        the family, and the chain
//	struct_ops                       the type of the map, such as "tcp_congestion_ops"
//	lirc                             the device
//	others                           nothing
//
// and Sub is the kind of a cgroup, tc, tcx, netkit, sk_skb or lsm_cgroup program: "connect4", "egress". Paths are absolute, without "..",
// and as they are after symbolic links; whoever checks a path and opens another one has checked nothing. A program or library may be
// a bare name ("libc.so.6"), if the host finds it in the places of the system.
//
// Offset says that the place is not the beginning of a function, but a number of bytes behind it or in the file: that may be anywhere, so
// only a grant of all functions includes it.
type Action struct {
	Kind   Kind
	Write  bool
	Offset bool
	Hook   string
	Sub    string
	Name   string
	Symbol string
}

// CgroupPath answers the path of a control group as grants have it: below the root of cgroup v2, with a slash before it.
func CgroupPath(name string) string {
	if rest, ok := strings.CutPrefix(name, cgroupRoot); ok && (rest == "" || rest[0] == '/') {
		name = rest
	}
	switch {
	case name == "" || name == ".":
		return "/"
	case name[0] != '/':
		return "/" + name
	}
	return name
}

const cgroupRoot = "/sys/fs/cgroup"

// head is the row of heads that decides about an action.
func (a *Action) head() (headID, bool) {
	if a.Kind == Attach {
		id, ok := headByName[a.Hook]
		return id, ok && heads[id].kind == Attach
	}
	if a.Kind >= kinds {
		return 0, false
	}
	return headOfKind[a.Kind], true
}

// anywhere reports whether the place may be in any function, whatever the name says.
func (a *Action) anywhere() bool { return a.Offset && a.Kind == Attach }

// Verb answers what is done, "attach xdp", and Subject to what, "eth1"; it is empty for kinds without a name. String is both together.
func (a Action) Verb() string {
	switch {
	case a.Kind == Attach && a.Sub != "":
		return "attach " + short(a.Hook) + "/" + short(a.Sub)
	case a.Kind == Attach:
		return "attach " + short(a.Hook)
	case a.Kind == Dir && a.Write:
		return "write in directory"
	case a.Kind < kinds:
		return deeds[a.Kind]
	}
	return "do an unknown thing"
}

// Subject answers what the action is about, without what could play tricks with a terminal.
func (a Action) Subject() string {
	s := short(a.Name)
	if a.Symbol != "" && a.Kind == Attach {
		sep := ":"
		if a.Hook == "netfilter" {
			sep = "/"
		}
		s += sep + short(a.Symbol)
	}
	if a.anywhere() {
		s += "+offset"
	}
	return s
}

func (a Action) String() string {
	verb, subject := a.Verb(), a.Subject()
	switch {
	case subject == "":
		return verb
	case a.Kind == Attach:
		return verb + " to " + subject
	}
	return verb + " " + subject
}

var deeds = [kinds]string{
	Load: "load a program of type", TestRun: "run a program on own data", LiveFrames: "send made-up packets through a program",
	Helper: "call helper", Kfunc: "call kernel function", Map: "create a map of type", Redirect: "redirect packets to",
	XSK: "open a packet socket on", Share: "share under the name", Pin: "pin under the name", Symbols: "look up kernel symbols",
	ProcessSymbols: "look up symbols of processes", Process: "open a process", SocketOf: "take a socket of a process",
	CgroupID: "look up a control group", File: "open file", Stats: "measure all BPF programs", Dir: "read in directory",
	Env: "read environment variable", Network: "use the network", Clock: "read the clock", Random: "get random numbers",
}

// short keeps hostile text out of messages: long names are cut, and what could play tricks with a terminal is replaced.
func short(s string) string {
	const most = 120
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !printable(r) {
			return '?'
		}
		return r
	}, s)
}

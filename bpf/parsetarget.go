package bpf

import (
	"math"
	"strconv"
	"strings"
)

// maxTargetText is longer than any path with a symbol.
const maxTargetText = 4096 + 1024

// ParseTarget reads the text form of a target, as people and the wasm_bpf interface give it:
//
//	xdp                     eth0, eth0:native, eth0:generic, eth0:offload
//	tc, tcx, netkit         eth0, eth0:ingress, eth0:egress
//	cgroup, sockops, ...    /sys/fs/cgroup/web, web (below the root of cgroup v2), . (the root); web:egress for cgroup/skb
//	uprobe, uretprobe       /bin/bash:readline, libc.so.6:malloc+0x10, /bin/x:0x1234, libc:malloc@4711 (only process 4711)
//	uprobe.multi, ...       libc:mem* ; libc:malloc,free ; usdt: libc.so.6:libc:setjmp@4711
//	kprobe, ksyscall, ...   do_unlinkat, vfs_read+0x10, openat; kprobe.multi: tcp_*, or a,b,c
//	tracepoint              sched/sched_process_exec; raw_tracepoint: sched_switch
//	sk_msg, sk_skb          the name of a map of the same object; struct_ops too
//	iter                    the name of a map; @4711 (a process), #4712 (a thread), cgroup:web, cgroup:web:up (or post, self)
//	sk_lookup, flow_dissector   a network namespace: its name for "ip netns", or a path
//	netfilter               ipv4, ipv6:forward, ipv4:input:-100
//	perf_event              99 (samples per second), 99@4711; cache-misses:99, page-faults/1 (a sample at each), raw:0x1c2/100000
//	lirc                    /dev/lirc0
//
// The empty text is the zero target. The error matches [ErrTarget] and says how the text should look.
func ParseTarget(h Hook, s string) (Target, error) {
	t, err := parseTarget(h, s)
	if err != nil {
		return Target{}, badTarget("target %q for %s: %w", short(s), h, err)
	}
	return t, nil
}

// short keeps a hostile text out of messages.
func short(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func parseTarget(h Hook, s string) (Target, error) {
	if s == "" {
		return Target{}, nil
	}
	if len(s) > maxTargetText {
		return Target{}, badTarget("longer than %d bytes", maxTargetText)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return Target{}, badTarget("has control characters")
	}
	switch h {
	case HookXDP:
		return parseXDP(s)
	case HookTC, HookTCX, HookNetkit:
		return parseInterface(s)
	case HookCgroup, HookSockOps, HookLSMCgroup:
		return parseCgroup(h, s)
	case HookUprobe, HookUretprobe, HookUprobeMulti, HookUretMulti, HookUprobeSession:
		return parseUprobe(h, s)
	case HookUSDT:
		return parseUSDT(s)
	case HookKprobe, HookKretprobe, HookKsyscall, HookKretsyscall, HookKprobeMulti, HookKretMulti, HookKprobeSession:
		if isMulti(h) && strings.Contains(s, ",") {
			return parseSymbols(s)
		}
		symbol, offset, err := parseSymbol(s)
		return Target{Symbol: symbol, Offset: offset}, err
	case HookTracepoint:
		if category, name, ok := strings.Cut(s, "/"); !ok || category == "" || name == "" || strings.Contains(name, "/") {
			return Target{}, badTarget("want category/name, for example sched/sched_process_exec")
		}
		return Target{Symbol: s}, nil
	case HookRawTracepoint:
		return Target{Symbol: s}, nil
	case HookSkMsg, HookSkSKB, HookStructOps:
		return Target{MapName: s}, nil
	case HookIter:
		return parseIter(s)
	case HookSkLookup, HookFlowDissector:
		return Target{Netns: s}, nil
	case HookNetfilter:
		return parseNetfilter(s)
	case HookPerfEvent:
		return parsePerfEvent(s)
	case HookLirc:
		return Target{Path: s}, nil
	case HookTPBTF, HookFentry, HookFexit, HookFmodRet, HookFsession, HookLSM, HookFreplace:
		return Target{}, badTarget("the section name decides where it attaches, when it is loaded; give no target")
	case HookSocket, HookSkReuseport:
		return Target{}, badTarget("a socket has no text form; set Target.Socket")
	}
	return Target{}, badTarget("this hook takes no target")
}

func parseXDP(s string) (Target, error) {
	name, mode, has := strings.Cut(s, ":")
	t := Target{Interface: name, Mode: XDPMode(mode)}
	if err := checkInterface(name); err != nil {
		return t, err
	}
	switch t.Mode {
	case XDPNative, XDPGeneric, XDPOffload:
		return t, nil
	case XDPAuto:
		if !has {
			return t, nil
		}
	}
	return t, badTarget("no mode %q; want %s, %s:native, %s:generic or %s:offload", short(mode), name, name, name, name)
}

func parseInterface(s string) (Target, error) {
	name, dir, has := strings.Cut(s, ":")
	t := Target{Interface: name}
	if err := checkInterface(name); err != nil || !has {
		return t, err
	}
	var err error
	t.Direction, err = parseDirection(name, dir)
	return t, err
}

func parseDirection(name, s string) (Direction, error) {
	if d := Direction(s); d == Ingress || d == Egress {
		return d, nil
	}
	return "", badTarget("no direction %q; want %s, %s:ingress or %s:egress", short(s), name, name, name)
}

// checkInterface holds names to the kernel's rules.
func checkInterface(name string) error {
	if name == "" || len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/ ") {
		return badTarget("%q cannot be the name of an interface; want for example eth0", short(name))
	}
	return nil
}

func parseCgroup(h Hook, s string) (Target, error) {
	if h == HookCgroup {
		for _, d := range []Direction{Ingress, Egress} {
			if path, ok := strings.CutSuffix(s, ":"+string(d)); ok && path != "" {
				return Target{Cgroup: path, Direction: d}, nil
			}
		}
	}
	return Target{Cgroup: s}, nil
}

func parseUprobe(h Hook, s string) (Target, error) {
	s, pid, err := cutPID(s)
	if err != nil {
		return Target{}, err
	}
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || i == len(s)-1 {
		return Target{}, badTarget("want path:function, for example /bin/bash:readline, libc.so.6:malloc+0x10 or /bin/x:0x1234")
	}
	if isMulti(h) && strings.Contains(s[i+1:], ",") {
		t, err := parseSymbols(s[i+1:])
		t.Path, t.PID = s[:i], pid
		return t, err
	}
	symbol, offset, err := parseSymbol(s[i+1:])
	return Target{Path: s[:i], Symbol: symbol, Offset: offset, PID: pid}, err
}

func parseUSDT(s string) (Target, error) {
	s, pid, err := cutPID(s)
	if err != nil {
		return Target{}, err
	}
	if j := strings.LastIndexByte(s, ':'); j > 0 && j < len(s)-1 {
		if i := strings.LastIndexByte(s[:j], ':'); i > 0 && i < j-1 {
			return Target{Path: s[:i], Symbol: s[i+1:], PID: pid}, nil
		}
	}
	return Target{}, badTarget("want path:provider:name, for example libc.so.6:libc:setjmp")
}

// parseSymbols reads "name,name".
func parseSymbols(s string) (Target, error) {
	names := strings.Split(s, ",")
	for _, n := range names {
		if n == "" || isPattern(n) {
			return Target{}, badTarget("%q in a list of functions; want names, or one pattern", short(n))
		}
	}
	return Target{Symbols: names}, nil
}

// parseSymbol reads "name", "name+0x10" and "0x10".
func parseSymbol(s string) (symbol string, offset uint64, err error) {
	if s[0] >= '0' && s[0] <= '9' {
		offset, err = parseOffset(s)
		return "", offset, err
	}
	symbol, rest, has := strings.Cut(s, "+")
	if has {
		offset, err = parseOffset(rest)
	}
	if err == nil && symbol == "" {
		err = badTarget("no function before \"+\"")
	}
	return symbol, offset, err
}

func parseOffset(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n > math.MaxInt64 {
		return 0, badTarget("%q is no offset; want for example 0x10", short(s))
	}
	return n, nil
}

// cutPID cuts "@4711" off the end. A symbol's version ("memcpy@@GLIBC_2.14") is no process.
func cutPID(s string) (string, int, error) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 || i == len(s)-1 || strings.Trim(s[i+1:], "0123456789") != "" {
		return s, 0, nil
	}
	pid, err := strconv.ParseInt(s[i+1:], 10, 32)
	if err != nil || pid == 0 {
		return "", 0, badTarget("%q is no process id", short(s[i+1:]))
	}
	return s[:i], int(pid), nil
}

func parseNetfilter(s string) (Target, error) {
	const want = "want family[:chain[:priority]], for example ipv4, ipv6:forward or ipv4:input:-100"
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return Target{}, badTarget(want)
	}
	t := Target{Family: parts[0]}
	if len(parts) > 1 {
		t.Chain = parts[1]
	}
	if len(parts) > 2 {
		n, err := strconv.ParseInt(parts[2], 10, 32)
		if err != nil {
			return t, badTarget("%q is no priority; "+want, short(parts[2]))
		}
		t.Priority = int(n)
	}
	if _, err := netfilterFamily(t.Family); err != nil {
		return t, err
	}
	_, err := netfilterChain(t.Chain)
	return t, err
}

package policy

import (
	"errors"
	"strings"
	"testing"
)

func attach(hook, name string) Action { return Action{Kind: Attach, Hook: hook, Name: name} }

func at(hook, name, symbol string) Action {
	return Action{Kind: Attach, Hook: hook, Name: name, Symbol: symbol}
}

func sub(a Action, s string) Action      { a.Sub = s; return a }
func withOffset(a Action) Action         { a.Offset = true; return a }
func do(k Kind, name string) Action      { return Action{Kind: k, Name: name} }
func write(name string) Action           { return Action{Kind: Dir, Name: name, Write: true} }
func words(s string) []string            { return strings.Fields(s) }
func isDenied(err error) (*Denied, bool) { var d *Denied; return d, errors.As(err, &d) }

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		lines string // "!" denies
		a     Action
		ok    bool
	}{
		// Interfaces.
		{"xdp@eth1", attach("xdp", "eth1"), true},
		{"xdp@eth1", attach("xdp", "eth10"), false},
		{"xdp@eth1", attach("tc", "eth1"), false},
		{"xdp@eth*", attach("xdp", "eth10"), true},
		{"xdp@eth?", attach("xdp", "eth10"), false},
		{"xdp", attach("xdp", "anything"), true},
		{"xdp", attach("xdp", ""), true},
		{"xdp@eth1", attach("xdp", ""), false},
		{"tc@eth1", attach("tcx", "eth1"), true},
		{"tcx@eth1", attach("tc", "eth1"), true},
		{"tc/egress@eth1", sub(attach("tcx", "eth1"), "egress"), true},
		{"tc/egress@eth1", sub(attach("tc", "eth1"), "ingress"), false},
		{"tc/egress@eth1", attach("tc", "eth1"), false},
		{"xdp@eth1 !tc@eth1", attach("xdp", "eth1"), true},
		{"tc !tc/egress@eth1", attach("tc", "eth1"), false},
		{"tc !tc/egress@eth1", sub(attach("tcx", "eth1"), "egress"), false},
		{"tc !tc/egress@eth1", sub(attach("tc", "eth1"), "ingress"), true},
		{"tc@eth1 !tcx@eth1", attach("tc", "eth1"), false},
		{"net-forward@eth*", attach("xdp", "eth1"), true},
		{"net-forward@eth*", attach("xdp", "wlan0"), false},
		{"net-forward@eth*", do(Redirect, "eth1"), true},
		{"net-forward@eth*", do(Redirect, "wlan0"), false},
		{"net-forward", do(Map, "devmap"), true},
		{"net-forward", do(Helper, "bpf_redirect"), false},
		{"net-forward", do(Helper, "bpf_redirect_map"), true},
		// Symbols.
		{"kprobe:tcp_*", attach("kprobe", "tcp_sendmsg"), true},
		{"kprobe:tcp_*", attach("kretprobe.multi", "tcp_s*"), true},
		{"kprobe:tcp_*", attach("kprobe.multi", "tcp*"), false},
		{"kprobe:tcp_*", attach("kprobe.multi", "*"), false},
		{"kprobe", attach("kprobe.multi", "*"), true},
		{"kprobe:tcp_*", attach("kprobe.multi", "tcp_a,tcp_b"), true},
		{"kprobe:tcp_*", attach("kprobe.multi", "tcp_a,udp_b"), false},
		{"kprobe:tcp_*", attach("kprobe.multi", "tcp_a,"), false},
		{"kretprobe:x", attach("kprobe", "x"), false},
		{"kprobe !kprobe:tcp_sendmsg", attach("kprobe.multi", "tcp_s*"), false},
		{"kprobe !kprobe:tcp_sendmsg", attach("kprobe.multi", "tcp_r*"), true},
		{"kprobe !kprobe:tcp_sendmsg", attach("kprobe.multi", "a,tcp_sendmsg"), false},
		{"kprobe", attach("kprobe.multi", "tcp_[s]*"), false},
		{"kprobe:a?c", attach("kprobe.multi", "a*c"), false},
		{"kprobe:tcp_sendmsg", withOffset(attach("kprobe", "tcp_sendmsg")), false},
		{"kprobe", withOffset(attach("kprobe", "tcp_sendmsg")), true},
		{"kprobe !kprobe:x", withOffset(attach("kprobe", "tcp_sendmsg")), false},
		{"ksyscall:openat", attach("kretsyscall", "openat"), true},
		{"fentry:vfs_*", attach("fexit", "vfs_read"), true},
		{"fentry:vfs_*", attach("fmod_ret", "vfs_read"), false},
		{"tracepoint:sched/*", attach("tracepoint", "sched/sched_switch"), true},
		{"tracepoint:sched/*", attach("tracepoint", "sched2/x"), false},
		{"tracepoint:*/sys_enter_*", attach("tracepoint", "syscalls/sys_enter_open"), true},
		{"lsm:file_open", attach("lsm", "file_open"), true},
		{"lsm:file_open", attach("lsm", "bprm_check_security"), false},
		{"iter:task", attach("iter", "task"), true},
		{"iter:task", attach("iter", "task_vma"), false},
		{"struct_ops:tcp_congestion_ops", attach("struct_ops", "tcp_congestion_ops"), true},
		{"perf_event", attach("perf_event", ""), true},
		{"freplace", attach("freplace", ""), true},
		// Files.
		{"uprobe:/usr/bin/*:readline", at("uprobe", "/usr/bin/bash", "readline"), true},
		{"uprobe:/usr/bin/*:readline", at("uprobe", "/usr/bin/x/bash", "readline"), false},
		{"uprobe:/usr/bin/*:readline", at("uprobe", "/usr/bin/bash", "main"), false},
		{"uprobe:/usr/bin/*:readline", at("uprobe", "/usr/bin/bash", ""), false},
		{"uprobe:/usr/bin/*:readline", withOffset(at("uprobe", "/usr/bin/bash", "readline")), false},
		{"uprobe:/usr/bin/*", withOffset(at("uprobe", "/usr/bin/bash", "readline")), true},
		{"uprobe:/usr/bin/*", at("uretprobe", "/usr/bin/bash", "x"), true},
		{"uprobe:/usr/**", at("uprobe", "/usr/lib/a/b.so", "x"), true},
		{"uprobe:/usr/**", at("uprobe", "/usr/../etc/x", "x"), false},
		{"uprobe:/usr/**", at("uprobe", "libc.so.6", "malloc"), false},
		{"uprobe:libc.so.6:malloc", at("uprobe", "libc.so.6", "malloc"), true},
		{"uprobe:libc.so.6:malloc", at("uprobe", "/tmp/libc.so.6", "malloc"), false},
		{"uprobe:libc.so.6:mem*", at("uprobe.multi", "libc.so.6", "memcpy,memset"), true},
		{"uprobe:libc.so.6:mem*", at("uprobe.multi", "libc.so.6", "memcpy,malloc"), false},
		{"uprobe !uprobe:/usr/lib/libc.so.6", at("uprobe", "libc", "malloc"), false},
		{"uprobe !uprobe:/usr/lib/libc.so.6", at("uprobe", "c", "malloc"), false},
		{"uprobe !uprobe:/usr/lib/libc.so.6", at("uprobe", "bash", "malloc"), true},
		{"uprobe !uprobe:libc.so.6", at("uprobe", "/usr/lib/libc.so.6", "malloc"), false},
		{"uprobe !uprobe:libc.so.6", at("uprobe", "c", "malloc"), false},
		{"uprobe !uprobe:c", at("uprobe", "libc.so.6", "malloc"), false},
		{"uprobe !uprobe:c", at("uprobe", "/usr/lib/libm.so.6", "sin"), true},
		{"uprobe !uprobe:/opt/**", at("uprobe", "bash", "main"), false},
		{"uprobe !uprobe:/bin/bash:readline", at("uprobe", "/bin/bash", ""), false},
		{"uprobe !uprobe:/bin/bash:readline", at("uprobe.multi", "/bin/bash", "read*"), false},
		{"uprobe !uprobe:/bin/bash:readline", at("uprobe", "/bin/bash", "main"), true},
		{"usdt:/usr/bin/python3:python:gc__*", at("usdt", "/usr/bin/python3", "python:gc__start"), true},
		{"usdt:/usr/bin/python3:python:gc__*", at("usdt", "/usr/bin/python3", "python:line"), false},
		{"lirc:/dev/lirc*", attach("lirc", "/dev/lirc0"), true},
		{"file:/etc/hosts", do(File, "/etc/hosts"), true},
		{"file:/etc/hosts", do(File, "/etc/./hosts"), false},
		// Control groups: a group includes those below it, as its programs do.
		{"cgroup:/plugins/*", attach("cgroup", "/plugins/a"), true},
		{"cgroup:/plugins/*", attach("cgroup", "/plugins/a/b"), true},
		{"cgroup:/plugins/*", attach("cgroup", "/plugins"), false},
		{"cgroup:/plugins", attach("cgroup", "/pluginsx"), false},
		{"cgroup:/sys/fs/cgroup/plugins", attach("cgroup", "/plugins"), true},
		{"cgroup:/", attach("cgroup", "/a/b"), true},
		{"cgroup/connect4:/a", sub(attach("cgroup", "/a"), "connect4"), true},
		{"cgroup/connect4:/a", sub(attach("cgroup", "/a"), "connect6"), false},
		{"cgroup/skb:/a", sub(attach("cgroup", "/a"), "skb/egress"), true},
		{"cgroup !cgroup:/system.slice", attach("cgroup", "/"), false},
		{"cgroup !cgroup:/system.slice", attach("cgroup", "/system.slice/ssh"), false},
		{"cgroup !cgroup:/system.slice", attach("cgroup", "/user.slice"), true},
		{"cgroup !cgroup/skb:/a", sub(attach("cgroup", "/a"), "skb/egress"), false},
		{"cgroup !cgroup/skb/egress:/a", sub(attach("cgroup", "/a"), "skb"), false},
		{"cgroup !cgroup/skb/egress:/a", sub(attach("cgroup", "/a"), "connect4"), true},
		{"sockops:/a", attach("sockops", "a"), false},
		{"lsm_cgroup/file_open:/a", sub(attach("lsm_cgroup", "/a"), "file_open"), true},
		{"lsm_cgroup/file_open:/a", sub(attach("lsm_cgroup", "/a"), "inode_create"), false},
		// Others of the network.
		{"sk_lookup@.", attach("sk_lookup", "."), true},
		{"sk_lookup@.", attach("sk_lookup", "/run/netns/x"), false},
		{"sk_lookup@/run/netns/*", attach("sk_lookup", "/run/netns/x"), true},
		{"netfilter:ipv4/forward", at("netfilter", "ipv4", "forward"), true},
		{"netfilter:ipv4/forward", at("netfilter", "ipv4", "input"), false},
		{"netfilter:ipv4", at("netfilter", "ipv4", "input"), true},
		{"netfilter:*/forward", at("netfilter", "ipv6", "forward"), true},
		// Programs and what they call.
		{"xdp@eth1", do(Load, "xdp"), true},
		{"xdp@eth1", do(Load, "sched_cls"), false},
		{"prog:sched_cls", do(Load, "sched_cls"), true},
		{"xdp@eth1 !prog:xdp", do(Load, "xdp"), false},
		{"xdp@eth1 !xdp", do(Load, "xdp"), false},
		{"net-forward !xdp", do(Load, "xdp"), false},
		{"xdp@eth1 !xdp@eth0", do(Load, "xdp"), true},
		{"raw_tracepoint", do(Load, "raw_tracepoint"), true},
		{"raw_tracepoint", do(Load, "raw_tracepoint_writable"), false},
		{"", do(Helper, "bpf_map_lookup_elem"), true},
		{"!helper:bpf_trace_printk", do(Helper, "bpf_map_lookup_elem"), true},
		{"!helper:bpf_map_lookup_elem", do(Helper, "bpf_map_lookup_elem"), false},
		{"tracing", do(Helper, "bpf_probe_read_kernel"), false},
		{"helper:bpf_probe_read_kernel", do(Helper, "bpf_probe_read_kernel_str"), true},
		{"helper:bpf_probe_read_kernel", do(Helper, "bpf_probe_read_user"), true},
		{"helper:bpf_probe_read_user", do(Helper, "bpf_probe_read_kernel"), false},
		{"helper:bpf_probe_read_user", do(Helper, "bpf_copy_from_user"), true},
		{"helper:bpf_probe_read_user !helper:bpf_probe_read_kernel", do(Helper, "bpf_probe_read_user"), true},
		{"all !helper:bpf_probe_read_kernel", do(Helper, "bpf_snprintf"), false},
		{"all !helper:bpf_send_signal", do(Helper, "bpf_send_signal_thread"), false},
		{"tracing", do(Helper, "#212"), false},
		{"helper:#212", do(Helper, "#212"), true},
		{"", do(Kfunc, "bpf_rcu_read_lock"), true},
		{"", do(Kfunc, "bpf_iter_num_new"), true},
		{"tracing", do(Kfunc, "bpf_rdonly_cast"), false},
		{"kfunc:bpf_rdonly_cast", do(Kfunc, "bpf_rdonly_cast"), true},
		{"net-observe", do(Kfunc, "bpf_dynptr_size"), true},
		{"net-observe", do(Kfunc, "bpf_dynptr_from_file"), false},
		{"net-observe", attach("iter", "tcp"), true},
		{"net-observe", attach("kprobe", "iput"), false},
		{"net-observe", do(Helper, "bpf_setsockopt"), false},
		{"", do(Map, "hash"), true},
		{"", do(Map, "prog_array"), true},
		{"", do(Map, "devmap"), false},
		{"", do(Map, "unspec"), false},
		{"", do(Map, "map_of_tomorrow"), false},
		{"map:devmap", do(Map, "devmap"), true},
		{"sk_msg", do(Map, "sockmap"), true},
		{"struct_ops:x", do(Map, "struct_ops"), true},
		{"!map:ringbuf", do(Map, "ringbuf"), false},
		{"test-run", Action{Kind: TestRun}, true},
		{"test-run", Action{Kind: LiveFrames}, false},
		{"share:flow*", do(Share, "flows"), true},
		{"share:flow*", do(Pin, "flows"), false},
		{"symbols", Action{Kind: Symbols}, true},
		{"symbols", Action{Kind: ProcessSymbols}, false},
		// WASI.
		{"dir:/var/log", do(Dir, "/var/log"), true},
		{"dir:/var/log", do(Dir, "/var/log/a/b"), true},
		{"dir:/var/log", do(Dir, "/var"), false},
		{"dir:/var/log", do(Dir, "/var/logs"), false},
		{"dir:/var/log", write("/var/log"), false},
		{"dir:/var/log:rw", write("/var/log/x"), true},
		{"dir:/var/log:rw", do(Dir, "/var/log/../lib"), false},
		{"dir:/", write("/x"), false},
		{"dir:/:rw", write("/x"), true},
		{"dir:/home/*/pub", do(Dir, "/home/a/pub/x"), true},
		{"dir:/:rw !dir:/etc/shadow", do(Dir, "/etc"), false},
		{"dir:/:rw !dir:/etc/shadow", do(Dir, "/"), false},
		{"dir:/:rw !dir:/etc/shadow", do(Dir, "/etc/shadow/x"), false},
		{"dir:/:rw !dir:/etc/shadow", do(Dir, "/var"), true},
		{"dir:/:rw !dir:/etc:rw", do(Dir, "/etc"), true},
		{"dir:/:rw !dir:/etc:rw", write("/etc"), false},
		{"dir:/:rw !dir:/etc", write("/etc"), false},
		{"env:LC_*", do(Env, "LC_ALL"), true},
		{"env:LC_*", do(Env, "HOME"), false},
		{"", Action{Kind: Clock}, true},
		{"", Action{Kind: Random}, true},
		{"!clock", Action{Kind: Clock}, false},
		{"", Action{Kind: Network}, false},
		{"all", write("/x"), true},
		{"all", do(Helper, "bpf_sys_bpf"), true},
		{"all", attach("syscall", ""), false},
		{"all", do(Load, "syscall"), true},
		{"all !all", Action{Kind: Symbols}, false},
		// What cannot be.
		{"all", Action{Kind: kinds}, false},
		{"all", Action{Kind: 255}, false},
		{"all", attach("", ""), false},
		{"all", attach("prog", "xdp"), false},
		{"all", attach("xdp", strings.Repeat("x", maxName+1)), false},
		{"all", attach("kprobe.multi", strings.Repeat("x,", maxName)), false},
	} {
		r := rightsOf(t, words(c.lines)...)
		err := r.Check(c.a)
		if got := err == nil; got != c.ok {
			t.Errorf("with %q: %+v: allowed %t, want %t (%v)", c.lines, c.a, got, c.ok, err)
		}
		if err != nil && !errors.Is(err, ErrDenied) {
			t.Errorf("%v does not match ErrDenied", err)
		}
		if d := r.Explain(c.a); d.Allowed != c.ok || d.Text == "" {
			t.Errorf("with %q: %+v: Explain says %+v", c.lines, c.a, d)
		}
		// What a denial says to add does help.
		if d, ok := isDenied(err); ok && d.Add != "" {
			more := rightsOf(t, append(words(c.lines), d.Add)...)
			if err := more.Check(d.Action); err != nil {
				t.Errorf("with %q and, as told, %q: %v", c.lines, d.Add, err)
			}
		}
	}
}

func TestTheZeroPolicyGrantsNothing(t *testing.T) {
	for _, r := range []*Rights{{}, rightsOf(t), mustEffective(t, nil, Plugin{}, nil)} {
		for k := Kind(0); k < kinds; k++ {
			for _, h := range heads {
				a := Action{Kind: k, Hook: h.name, Name: "/x"}
				if err := r.Check(a); (err == nil) != (k == Clock || k == Random) {
					t.Errorf("%s: %v", a, err)
				}
			}
		}
		if got, want := r.Limits(), DefaultLimits(); got != want {
			t.Errorf("limits %v, want %v", got, want)
		}
	}
}

func mustEffective(t *testing.T, p *Policy, plugin Plugin, added []Line) *Rights {
	t.Helper()
	r, err := Effective(p, plugin, added)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDenialsSayWhatToAdd(t *testing.T) {
	for _, c := range []struct {
		lines, manifest string
		a               Action
		want            string
	}{
		{"", "", attach("xdp", "eth1"), `attach xdp to eth1: not granted; add "xdp@eth1" to the policy`},
		{"xdp@eth0", "", attach("xdp", "eth1"), `attach xdp to eth1: interface not granted; add "xdp@eth1" to the policy`},
		{"xdp !xdp@eth*", "", attach("xdp", "eth1"), `attach xdp to eth1: denied by "xdp@eth*" (p.yaml:2)`},
		{"xdp", "perf_event", attach("xdp", "eth1"), `attach xdp to eth1: the policy grants it by "xdp" (p.yaml:1), but the plugin's manifest does not ask for it; to let it, add --allow "xdp@eth1"`},
		{"", "", at("uprobe", "/bin/bash", "readline"), `attach uprobe to /bin/bash:readline: not granted; add "uprobe:/bin/bash:readline" to the policy`},
		{"", "", withOffset(at("uprobe", "/bin/bash", "readline")), `attach uprobe to /bin/bash:readline+offset: not granted; add "uprobe:/bin/bash" to the policy`},
		{"", "", at("netfilter", "ipv4", "input"), `attach netfilter to ipv4/input: not granted; add "netfilter:ipv4/input" to the policy`},
		{"", "", sub(attach("cgroup", "/a"), "connect4"), `attach cgroup/connect4 to /a: not granted; add "cgroup/connect4:/a" to the policy`},
		{"tracing", "", do(Helper, "bpf_probe_read_user_str"), `call helper bpf_probe_read_user_str: not granted, because it reads memory of processes: passwords, keys, what is typed; add "helper:bpf_probe_read_user" to the policy`},
		{"tracing", "", do(Helper, "#212"), `call helper #212: not granted, because nobody has judged this helper yet; add "helper:#212" to the policy`},
		{"", "", do(Load, "xdp"), `load a program of type xdp: not granted; add "prog:xdp" to the policy`},
		{"", "", Action{Kind: Load, Hook: "xdp", Name: "xdp"}, `load a program of type xdp: not granted; it comes with a grant of its hook, such as "xdp@eth1", or alone with "prog:xdp"`},
		{"", "", Action{Kind: Load, Hook: "raw_tracepoint", Name: "raw_tracepoint_writable", Symbol: "x"}, `load a program of type raw_tracepoint_writable: not granted; add "prog:raw_tracepoint_writable" to the policy`},
		{"all", "", attach("kprobe", "x\x00y"), `attach kprobe to x?y: a name with a NUL in it`},
		{"", "", Action{Kind: Load, Hook: "tracepoint", Name: "tracepoint", Symbol: "sched/sched_switch"}, `load a program of type tracepoint: not granted; add "tracepoint:sched/sched_switch" to the policy`},
		{"dir:/a", "", write("/a/b"), `write in directory /a/b: granted for reading only; add "dir:/a/b:rw" to the policy`},
		{"", "", attach("xdp", "et\x1b[31mh1"), `attach xdp to et?[31mh1: not granted, and no grant can name it`},
		{"all", "", attach("nowhere", "x"), `attach nowhere to x: there is no such hook`},
		{"all", "", do(Dir, "a/../b"), `read in directory a/../b: the path is not absolute, or has empty parts, "." or ".."`},
		{"all", "", do(Dir, ""), `read in directory: directory not given`},
		{"kprobe:a", "", attach("kprobe.multi", "a,b"), `attach kprobe.multi to b: name not granted; add "kprobe.multi:b" to the policy`},
	} {
		p, plugin := &Policy{}, Plugin{}
		for i, text := range words(c.lines) {
			rest, deny := strings.CutPrefix(text, "!")
			l := Line{Grant: mustGrant(t, rest), File: "p.yaml", Number: i + 1}
			if deny {
				p.Deny = append(p.Deny, l)
			} else {
				p.Allow = append(p.Allow, l)
			}
		}
		if c.manifest != "" {
			plugin.Manifest = &Manifest{Needs: []Need{{Grant: mustGrant(t, c.manifest), Why: "because"}}}
		}
		err := mustEffective(t, p, plugin, nil).Check(c.a)
		if err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func mustGrant(t testing.TB, text string) Grant {
	t.Helper()
	g, err := ParseGrant(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRightsAreManifestAndPolicyAndWhatIsAdded(t *testing.T) {
	p, err := Parse([]byte(`version: 1
names: {uplink: eth1, plugins: /sys/fs/cgroup/plugins, logs: /var/log}
allow: [tracing, xdp@uplink, "cgroup:plugins/*", "dir:logs:rw"]
deny: ["kprobe:secret_*"]
plugins:
  wide: {allow: [symbols, perf_event]}
  alone: {allow: [stats], replace: true, deny: [clock]}
  sha256:0000000000000000000000000000000000000000000000000000000000000001: {allow: [network], replace: true}
`), "p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := &Manifest{Needs: []Need{{Grant: mustGrant(t, "xdp@uplink")}, {Grant: mustGrant(t, "kprobe")}, {Grant: mustGrant(t, "stats")}, {Grant: mustGrant(t, "dir:elsewhere")}}}
	added, err := Lines("--allow", "tc@uplink", "kprobe:secret_x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lines("--allow", "tracing", "tracng"); err == nil || err.Error() != `--allow: grant "tracng": there is no grant "tracng"; did you mean "tracing"?` {
		t.Errorf("a wrong line: %v", err)
	}
	const digest = "0000000000000000000000000000000000000000000000000000000000000001"
	for _, c := range []struct {
		name   string
		plugin Plugin
		added  []Line
		a      Action
		ok     bool
	}{
		{"the box grants and the manifest asks", Plugin{Manifest: m}, nil, attach("xdp", "eth1"), true},
		{"the box grants and the manifest does not ask", Plugin{Manifest: m}, nil, attach("tracepoint", "a/b"), false},
		{"the manifest asks and the box does not grant", Plugin{Manifest: m}, nil, Action{Kind: Stats}, false},
		{"without a manifest all of the box", Plugin{}, nil, attach("tracepoint", "a/b"), true},
		{"an empty manifest asks for nothing", Plugin{Manifest: &Manifest{}}, nil, attach("tracepoint", "a/b"), false},
		{"added, without being asked for", Plugin{Manifest: m}, added, attach("tc", "eth1"), true},
		{"denied also when it is added", Plugin{Manifest: m}, added, attach("kprobe", "secret_x"), false},
		{"a local name of a cgroup", Plugin{}, nil, attach("cgroup", "/plugins/a"), true},
		{"a local name of a directory", Plugin{}, nil, write("/var/log/x"), true},
		{"a section adds", Plugin{Name: "wide"}, nil, attach("xdp", "eth1"), true},
		{"a section replaces", Plugin{Name: "alone"}, nil, attach("xdp", "eth1"), false},
		{"a section has its own", Plugin{Name: "alone"}, nil, Action{Kind: Stats}, true},
		{"a section denies", Plugin{Name: "alone"}, nil, Action{Kind: Clock}, false},
		{"not for others", Plugin{Name: "other"}, nil, Action{Kind: Stats}, false},
		{"by digest", Plugin{Name: "wide", Digest: digest}, nil, Action{Kind: Network}, true},
		{"the digest before the name", Plugin{Name: "wide", Digest: digest}, nil, attach("xdp", "eth1"), false},
		{"no name is taken for a digest", Plugin{Name: "sha256:" + digest}, nil, Action{Kind: Network}, false},
		{"a name in the manifest counts for nothing", Plugin{Manifest: &Manifest{Name: "alone", Needs: []Need{{Grant: mustGrant(t, "stats")}}}}, nil, Action{Kind: Stats}, false},
	} {
		if err := mustEffective(t, p, c.plugin, c.added).Check(c.a); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	r := mustEffective(t, p, Plugin{Manifest: m}, added)
	want := `deny kprobe:secret_* p.yaml:4|allow tc@uplink --allow|allow kprobe:secret_x --allow|allow tracing p.yaml:3|allow xdp@uplink p.yaml:3|` +
		`allow cgroup:plugins/* p.yaml:3|allow dir:logs:rw p.yaml:3|allow xdp@uplink manifest|allow kprobe manifest|allow stats manifest|allow dir:elsewhere manifest|`
	got := ""
	for _, l := range r.Lines() {
		word := "allow"
		if l.Deny {
			word = "deny"
		}
		got += word + " " + l.Grant.String() + " " + l.Source() + "|"
	}
	if got != want {
		t.Errorf("lines:\n got %s\nwant %s", got, want)
	}
	if d := r.Explain(attach("xdp", "eth1")); !d.Allowed || d.Line.Source() != "p.yaml:3" || d.Text != `attach xdp to eth1: granted by "xdp@uplink" (p.yaml:3), which includes "xdp@eth1"` {
		t.Errorf("explained by %+v", d)
	}
	if d := r.Explain(attach("kprobe", "tcp_x")); d.Text != `attach kprobe to tcp_x: granted by "tracing" (p.yaml:3), which includes "kprobe"` {
		t.Errorf("explained by %+v", d)
	}
}

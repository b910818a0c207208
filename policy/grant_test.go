package policy

import (
	"strings"
	"testing"
)

func TestGrantsAreReadAndWritten(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"tracing", ""},
		{"all", ""},
		{"net-forward@eth*", ""},
		{"xdp", ""},
		{"xdp@eth1", ""},
		{"tc/egress@eth1", ""},
		{"cgroup:/plugins/*", ""},
		{"cgroup/connect4:/plugins/*", ""},
		{"cgroup/skb/egress:/a", ""},
		{"cgroup:/sys/fs/cgroup/a", "cgroup:/a"},
		{"cgroup:/sys/fs/cgroup", "cgroup:/"},
		{"cgroup:plugins", ""},
		{"lsm_cgroup/file_open:/a", ""},
		{"tracepoint:sched/*", ""},
		{"kprobe.multi:tcp_*", ""},
		{"uprobe:/usr/bin/*:readline", ""},
		{"uprobe:/usr/bin/bash:*", "uprobe:/usr/bin/bash"},
		{"uprobe:/opt/a:b:*", ""},
		{"uprobe:/opt/my app:main", ""},
		{"uprobe:libc.so.6:malloc", ""},
		{"usdt:/usr/bin/python3", ""},
		{"usdt:/usr/bin/python3:python:gc__start", ""},
		{"usdt:/usr/bin/python3:*:*", "usdt:/usr/bin/python3"},
		{"netfilter:ipv4/forward", ""},
		{"netfilter:ipv4", ""},
		{"sk_lookup@/run/netns/x", ""},
		{"sk_lookup@.", ""},
		{"helper:bpf_probe_write_user", ""},
		{"helper:#212", ""},
		{"prog:xdp", ""},
		{"map:devmap", ""},
		{"dir:/var/log:rw", ""},
		{"dir:/var/log:ro", "dir:/var/log"},
		{"dir:/a:b:ro", ""},
		{"dir:/a:rw:ro", ""},
		{"dir:/", ""},
		{"env:LC_*", ""},
	} {
		g, err := ParseGrant(c.in)
		if err != nil {
			t.Error(err)
			continue
		}
		want := c.out
		if want == "" {
			want = c.in
		}
		if got := g.String(); got != want {
			t.Errorf("%q is written as %q, want %q", c.in, got, want)
		}
	}
}

func TestWrongGrantsAreExplained(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "empty"},
		{" xdp", "spaces"},
		{"xdp@", "nothing behind"},
		{"xdp:eth1", `"xdp@eth1"`},
		{"kprobe@x", `behind a ":"`},
		{"tracng", `did you mean "tracing"`},
		{"kprob:x", `did you mean "kprobe"`},
		{"nonsense-of-all-kinds", "there is no grant"},
		{"tracing:x", "takes no target"},
		{"net-forward:x", `behind a "@"`},
		{"perf_event:x", "takes no target"},
		{"syscall", `"prog:syscall"`},
		{"lwt", `"prog:lwt_in"`},
		{"cgroup/conect4:/a", `did you mean "connect4"`},
		{"xdp/native@eth0", "there is no xdp/native"},
		{"tracepoint:*", "category/name"},
		{"tracepoint:/x", "category/name"},
		{"helper", `"helper:bpf_probe_read_user"`},
		{"helper:bpf_probe_*", "has to be named"},
		{"helper:bpf_probe_write_usr", `did you mean "bpf_probe_write_user"`},
		{"helper:#x", "there is no helper"},
		{"helper:#007", "there is no helper"},
		{"kfunc:bpf_*", "has to be named"},
		{"map:devmop", `did you mean "devmap"`},
		{"prog:xpd", `did you mean "xdp"`},
		{"dir", `"dir:/var/log:rw"`},
		{"dir:/a/../b", `".."`},
		{"dir:/a/", "empty parts"},
		{"cgroup:*", `begins with a slash: "/*"`},
		{"dir:/a//b", "empty parts"},
		{"uprobe:/a:", "leave it out"},
		{"usdt:/a:b", "file:provider:name"},
		{"usdt:/a:b:", "file:provider:name"},
		{"usdt:/a::b", "file:provider:name"},
		{"netfilter:/x", "family/chain"},
		{"netfilter:ipv4/", "family/chain"},
		{"xdp@a/b", "no name of an interface"},
		{"xdp@eth\x1b[1m", "cannot be seen"},
		{"xdp@eth\u202e", "cannot be seen"},
		{"xdp@\xff", "UTF-8"},
		{"xdp@" + strings.Repeat("x", 65), "no name of an interface"},
		{"dir:/" + strings.Repeat("x", maxPattern), "more than 512"},
		{strings.Repeat("x", maxGrant+1), "more than"},
	} {
		g, err := ParseGrant(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v %v, want an error with %q", c.in, g, err, c.want)
		}
		if err != nil && len(err.Error()) > 600 {
			t.Errorf("%q: an error of %d bytes", c.in, len(err.Error()))
		}
	}
}

func FuzzGrant(f *testing.F) {
	for _, h := range heads {
		f.Add(h.name + h.example())
	}
	for _, s := range []string{"all", "net-forward@eth*", "uprobe:/a:b:*", "usdt:/a:b:c:*:*", "dir:/a:ro:rw", "cgroup/skb/egress:/sys/fs/cgroup/x", "dir:/**/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGrant(text)
		if err != nil {
			if g != (Grant{}) {
				t.Errorf("%q: an error and %+v", text, g)
			}
			return
		}
		back, err := ParseGrant(g.String())
		if err != nil || back != g {
			t.Fatalf("%q is written as %q, which is read as %+v, %v, and not %+v", text, g, back, err, g)
		}
		names := Names{"x": "eth0", "y": "/y"}
		if g, err = names.resolve(g); err != nil {
			return
		}
		// A grant includes itself, a denial of it takes it away.
		r := &Rights{}
		if err := r.box.add(&Line{Grant: g}, names, &r.deny); err != nil {
			t.Fatal(err)
		}
		if err := r.Includes(g, names); err != nil && !strings.ContainsAny(text, `,[\`) {
			t.Errorf("%q does not include itself: %v", g, err)
		}
		if err := r.deny.add(&Line{Grant: g, Deny: true}, names, nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Includes(g, names); err == nil {
			t.Errorf("%q is granted though it is denied", g)
		}
	})
}

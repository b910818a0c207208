package policy

import "testing"

// A check that allows is made for each call of the host that opens or asks something.
func BenchmarkCheck(b *testing.B) {
	r := rightsOf(b, "tracing", "xdp@eth0", "xdp@eth*", "tc@eth1", "uprobe:/usr/bin/*:readline", "dir:/var/log:rw", "cgroup:/plugins/*",
		"helper:bpf_probe_read_user", "map:devmap", "!kprobe:secret_*", "!helper:bpf_probe_write_user")
	for _, c := range []struct {
		name string
		a    Action
	}{
		{"symbols", Action{Kind: Symbols}},
		{"clock", Action{Kind: Clock}},
		{"xdp", attach("xdp", "eth0")},
		{"tracepoint", attach("tracepoint", "sched/sched_switch")},
		{"kprobe-beside-a-denial", attach("kprobe", "tcp_sendmsg")},
		{"load", do(Load, "xdp")},
		{"map-ordinary", do(Map, "hash")},
		{"map", do(Map, "devmap")},
		{"helper-ordinary", do(Helper, "bpf_map_lookup_elem")},
		{"helper", do(Helper, "bpf_probe_read_user")},
		{"dir", do(Dir, "/var/log/a/b.log")},
		{"cgroup", attach("cgroup", "/plugins/a")},
		{"uprobe", at("uprobe", "/usr/bin/bash", "readline")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Check(c.a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestChecksThatAllowTakeNoMemory(t *testing.T) {
	r := rightsOf(t, "all", "xdp@eth*", "!kprobe:secret_*", "!uprobe:/bin/su", "!env:SECRET")
	for _, a := range []Action{
		{Kind: Symbols}, attach("xdp", "eth0"), attach("kprobe", "tcp_sendmsg"), attach("kprobe.multi", "tcp_a,tcp_b"), do(Helper, "bpf_probe_read_user"),
		write("/var/log/x"), at("uprobe", "/usr/bin/bash", "readline"), do(Env, "HOME"), attach("cgroup", "/a/b"), do(Map, "hash"),
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := r.Check(a); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", a, n)
		}
	}
}

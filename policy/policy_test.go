package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const example = `# What plugins may do on this box.
version: 1
names:
  uplink: eth1
  plugins: /sys/fs/cgroup/plugins
allow:
  - tracing
  - xdp@uplink
  - "dir:/var/log: x"
deny: [helper:bpf_probe_write_user]
limits:
  memory: 48M
  cpu-share: 50%
  wall-time: none
plugins:
  execsnoop:
    replace: true
    allow:
      - tracepoint:sched/*
    limits: {map-memory: 8M, cpu-per-call: 1m30s}
  sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff:
    deny: [all]
`

func TestParse(t *testing.T) {
	p, err := Parse([]byte(example), "p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Policy{
		Names: Names{"uplink": "eth1", "plugins": "/sys/fs/cgroup/plugins"},
		Allow: []Line{
			{Grant: mustGrant(t, "tracing"), File: "p.yaml", Number: 7},
			{Grant: mustGrant(t, "xdp@uplink"), File: "p.yaml", Number: 8},
			{Grant: mustGrant(t, "dir:/var/log: x"), File: "p.yaml", Number: 9},
		},
		Deny:   []Line{{Grant: mustGrant(t, "helper:bpf_probe_write_user"), Deny: true, File: "p.yaml", Number: 10}},
		Limits: Limits{Memory: 48 << 20, CPUShare: 50, WallTime: None},
		Plugins: map[string]Section{
			"execsnoop": {
				Replace: true, Allow: []Line{{Grant: mustGrant(t, "tracepoint:sched/*"), File: "p.yaml", Number: 19}},
				Limits: Limits{MapMemory: 8 << 20, CPUPerCall: 90 * time.Second},
			},
			"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff": {
				Deny: []Line{{Grant: mustGrant(t, "all"), Deny: true, File: "p.yaml", Number: 22}},
			},
		},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	back, err := Parse(p.Format(), "p.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Format())
	}
	if got, want := withoutNumbers(back), withoutNumbers(p); !reflect.DeepEqual(got, want) {
		t.Errorf("written and read again: %+v\nwant %+v\n%s", got, want, p.Format())
	}
}

// withoutNumbers is a policy in which lines stand nowhere, and what is empty is not there.
func withoutNumbers(p *Policy) *Policy {
	strip := func(lines []Line) []Line {
		var out []Line
		for _, l := range lines {
			out = append(out, Line{Grant: l.Grant, Deny: l.Deny})
		}
		return out
	}
	out := &Policy{Allow: strip(p.Allow), Deny: strip(p.Deny), Limits: p.Limits}
	if len(p.Names) > 0 {
		out.Names = p.Names
	}
	for name, s := range p.Plugins {
		if out.Plugins == nil {
			out.Plugins = map[string]Section{}
		}
		out.Plugins[name] = Section{Allow: strip(s.Allow), Deny: strip(s.Deny), Replace: s.Replace, Limits: s.Limits}
	}
	return out
}

func TestWrongPoliciesAreExplained(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", `p.yaml:1: no version; a policy begins with the line "version: 1"`},
		{"version: 2", `p.yaml:1: version 2 of policies is not known; this is for version 1`},
		{"version: 1\nalow: [tracing]", `p.yaml:2: a policy has no field "alow"; did you mean "allow"?`},
		{"version: 1\nallow: [tracing]\nallow: [xdp]", `p.yaml:3: field "allow" comes twice`},
		{"version: 1\nallow:\n  - tracing\n  - tracng", `p.yaml:4: grant "tracng": there is no grant "tracng"; did you mean "tracing"?`},
		{"version: 1\nallow: tracing", `p.yaml:2: allow has to be a list`},
		{"version: 1\nallow:\n- a: b", `p.yaml:3: a grant has to be a text; put quotes`},
		{"version: 1\nallow: [[x]]", `p.yaml:2: a grant has to be a text`},
		{"version: 1\nallow: [~]", `p.yaml:2: a grant has to be a text`},
		{"version: 1\nallow: [\"xdp@a\\tb\"]", `p.yaml:2: a grant: has the character U+0009, which cannot be seen`},
		{"version: 1\nallow:\n- dir:nowhere", `p.yaml:3: grant "dir:nowhere": there is no local name "nowhere"; a path begins with a slash`},
		{"version: 1\nnames: {logs: /var/log}\nallow:\n- dir:log", `did you mean "logs"?`},
		{"version: 1\nnames: {logs: /var/log}\nallow:\n- xdp@logs", `p.yaml:4: grant "xdp@logs": local name logs stands for /var/log, which is no interface`},
		{"version: 1\nnames: {up: eth0}\nplugins:\n  a:\n    allow:\n    - dir:up", `p.yaml:6: grant "dir:up": local name up stands for eth0, which is no path`},
		{"version: 1\nnames: {up: eth*}", `p.yaml:2: local name up: stands for one thing, without "*"`},
		{"version: 1\nnames: {a/b: eth0}", `p.yaml:2: local name "a/b": up to 64 letters`},
		{"version: 1\nnames: {a: eth0, a: eth1}", `p.yaml:2: local name "a" comes twice`},
		{"version: 1\nnames: {a: /x/../y}", `p.yaml:2: local name a: path "/x/../y" has empty parts`},
		{"version: 1\nnames: [a]", `p.yaml:2: names has to be names with values`},
		{"version: 1\nlimits: {memry: 1M}", `p.yaml:2: limits has no field "memry"; did you mean "memory"?`},
		{"version: 1\nlimits: {memory: 1X}", `p.yaml:2: limit memory: "1X" is no size`},
		{"version: 1\nlimits: {memory: none}", `p.yaml:2: limit memory: cannot be without limit; at most 4G`},
		{"version: 1\nlimits: {memory: 5G}", `p.yaml:2: limit memory: "5G" is more than 4G`},
		{"version: 1\nlimits: {programs: 0}", `p.yaml:2: limit programs: "0" is not more than 0`},
		{"version: 1\nlimits: {wall-time: soon}", `p.yaml:2: limit wall-time: "soon" is no duration; for example "10s"`},
		{"version: 1\nplugins: {a: {alow: []}}", `p.yaml:2: the section of a plugin has no field "alow"; did you mean "allow"?`},
		{"version: 1\nplugins: {a: {replace: 1}}", `p.yaml:2: replace is true or false`},
		{"version: 1\nplugins: {\"sha256:12\": {}}", `64 lower-case hexadecimal digits`},
		{"version: 1\n---\nversion: 1", `more than one document`},
		{"version: 1\nallow: &a [tracing]\ndeny: *a", `anchors and aliases are not taken`},
		{"version: 1\nallow: !!str tracing", `the type "!!str" is not taken`},
		{"version: 1\nallow: [" + strings.Repeat("[", 100), "brackets more than"},
		{"version: 1\n\tallow: []", "p.yaml: line"},
		{"- version", `p.yaml:1: a policy has to be fields`},
		{strings.Repeat("#", maxPolicy+1), "bytes, more than"},
		{"version: 1\nallow:\n" + strings.Repeat("- tracing\n", maxLines+1), "4097, more than 4096"},
	} {
		p, err := Parse([]byte(c.in), "p.yaml")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80q: %v\nwant an error with %s", c.in, err, c.want)
		}
		if p != nil {
			t.Errorf("%.80q: an error and a policy", c.in)
		}
	}
}

func TestLimits(t *testing.T) {
	p, err := Parse([]byte(example), "p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	def := DefaultLimits()
	r := mustEffective(t, p, Plugin{Name: "execsnoop"}, nil).Limits()
	want := def
	want.Memory, want.CPUShare, want.WallTime, want.MapMemory, want.CPUPerCall = 48<<20, 50, None, 8<<20, 90*time.Second
	if r != want {
		t.Errorf("limits %+v, want %+v", r, want)
	}
	// A wish lowers, and never raises.
	m := &Manifest{Limits: Limits{Memory: 1 << 30, Programs: 3, WallTime: time.Minute, CPUPerCall: None}}
	want.Programs, want.WallTime = 3, time.Minute
	if got := mustEffective(t, p, Plugin{Name: "execsnoop", Manifest: m}, nil).Limits(); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	// Every limit has a default, is written and read.
	text := def.Text()
	if len(text) != len(limitTable) || len(text) != reflect.TypeFor[Limits]().NumField() {
		t.Errorf("%d limits have defaults, of %d", len(text), len(limitTable))
	}
	var back Limits
	for _, kv := range text {
		if err := back.Set(kv[0], kv[1]); err != nil {
			t.Error(err)
		}
	}
	if back != def {
		t.Errorf("written and read: %+v, want %+v", back, def)
	}
}

// Four plugins of the default limits fit into 512 MB beside the host.
func TestTheDefaultsSuitASmallBox(t *testing.T) {
	l := DefaultLimits()
	if sum := 4 * (l.Memory + l.MapMemory); sum > 400<<20 {
		t.Errorf("four plugins take %d MiB", sum>>20)
	}
}

// What the documentation shows is read, and its table of limits is the code's.
func TestTheDocumentationIsRight(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc, examples := string(b), 0
	for i, block := range strings.Split(doc, "```") {
		body, yaml := strings.CutPrefix(block, "yaml\n")
		if i%2 == 0 || !yaml {
			continue
		}
		examples++
		if strings.Contains(body, "needs:") {
			_, err = ParseManifest([]byte(body))
		} else {
			_, err = Parse([]byte(body), "docs/policy.md")
		}
		if err != nil {
			t.Errorf("%v in\n%s", err, body)
		}
	}
	if examples < 2 {
		t.Errorf("%d examples", examples)
	}
	for _, kv := range DefaultLimits().Text() {
		if !strings.Contains(doc, "| `"+kv[0]+"` | "+kv[1]+" |") {
			t.Errorf("no row for %s with its default %s", kv[0], kv[1])
		}
	}
	rows := []string{}
	for _, h := range dangerous {
		rows = append(rows, "| `helper:"+h.name+"` | "+h.reason+" |")
	}
	for _, g := range groups {
		rows = append(rows, "| `"+g.name+"` | "+mustGrant(t, g.name).Doc()+" |")
	}
	for _, h := range heads {
		if whole, part := strings.CutPrefix(h.doc, "part of "); part {
			if other := &heads[headByName[whole]]; !slices.Contains(other.also, h.name) {
				t.Errorf("%s does not include %s", whole, h.name)
			}
			rows = append(rows, "`"+h.name+"`")
			continue
		}
		rows = append(rows, " | "+h.doc)
	}
	for _, row := range append(rows, append(ParamTypes(), ColumnFormats()...)...) {
		if !strings.Contains(doc, row) {
			t.Errorf("this is not there: %s", row)
		}
	}
}

// No input makes the parsers take much more than its size, or long.
func TestHostilePoliciesTakeLittle(t *testing.T) {
	for name, in := range map[string]string{
		"groups":      "version: 1\nallow:\n" + strings.Repeat("- net-observe\n", maxLines),
		"different":   "version: 1\nallow:\n" + numbered("- net-forward@e%d\n", maxLines),
		"plugins":     "version: 1\nplugins:\n" + numbered("  p%d: {allow: [all]}\n", maxPlugins),
		"many":        "version: 1\nplugins:\n" + numbered("  p%d:\n", 100000),
		"deep":        strings.Repeat("[", 1<<19) + strings.Repeat("]", 1<<19),
		"indents":     numberedIndents(1000),
		"keys":        numbered("k%d: x\n", 60000),
		"question":    strings.Repeat("? ", 1<<18),
		"dashes":      strings.Repeat("- ", 1<<18),
		"quotes":      "version: \"" + strings.Repeat("\\x41", 1<<17),
		"comments":    strings.Repeat("# x\n", 1<<17),
		"block":       "version: |\n" + strings.Repeat(" x\n", 1<<17),
		"flow":        "{" + strings.Repeat("a,", 1<<18) + "}",
		"colons":      strings.Repeat("a:", 1<<18),
		"anchors":     strings.Repeat("&a ", 1<<17),
		"star target": "version: 1\nallow:\n" + strings.Repeat("- kprobe:"+strings.Repeat("*a", 200)+"\n", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			if len(in) > maxPolicy {
				in = in[:maxPolicy]
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			_, err := Parse([]byte(in), "p.yaml")
			d := time.Since(begin)
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%d bytes: %v, %d MiB: %.100v", len(in), d, allocated, err)
			if d > 15*time.Second || allocated > 1024 {
				t.Errorf("%d bytes take %v and %d MiB", len(in), d, allocated)
			}
		})
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("version: 1\nallow: [all]\n"))
	f.Add([]byte("{version: 1, names: {a: /b}, allow: [\"dir:a/x:rw\"], plugins: {x: {replace: true}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data, "p.yaml")
		if err != nil {
			if len(err.Error()) > 4096 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		text := p.Format()
		back, err := Parse(text, "p.yaml")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if got, want := withoutNumbers(back), withoutNumbers(p); !reflect.DeepEqual(got, want) {
			t.Errorf("written and read again: %+v\nwant %+v\n%s", got, want, text)
		}
		if _, err := Effective(p, Plugin{}, nil); err != nil {
			t.Error(err)
		}
	})
}

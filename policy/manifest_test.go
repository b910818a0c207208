package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const exampleManifest = `name: execsnoop
version: 1.2.0
description: shows every program that is started
needs:
  - grant: tracepoint:sched/sched_process_exec
    why: that is where programs start
  - {grant: "helper:bpf_probe_read_user", why: reads the arguments}
params:
  - {name: max-args, type: int, default: 20, help: arguments to show}
  - {name: iface, type: interface}
columns:
  - {name: PID, width: 7}
  - {name: DUR, unit: ms, format: duration, hidden: true}
limits: {memory: 8M}
`

func TestParseManifest(t *testing.T) {
	want := &Manifest{
		Name: "execsnoop", Version: "1.2.0", Description: "shows every program that is started",
		Needs: []Need{
			{mustGrant(t, "tracepoint:sched/sched_process_exec"), "that is where programs start"},
			{mustGrant(t, "helper:bpf_probe_read_user"), "reads the arguments"},
		},
		Params: []Param{
			{Name: "max-args", Type: "int", Default: "20", HasDefault: true, Help: "arguments to show"},
			{Name: "iface", Type: "interface"},
		},
		Columns: []Column{{Name: "PID", Width: 7}, {Name: "DUR", Unit: "ms", Format: "duration", Hidden: true}},
		Limits:  Limits{Memory: 8 << 20},
	}
	json := `{
	"name": "execsnoop", "version": "1.2.0", "description": "shows every program that is started",
	"needs": [
		{"grant": "tracepoint:sched\/sched_process_exec", "why": "that is where programs start"},
		{"grant": "helper:bpf_probe_read_user", "why": "reads the arguments"}],
	"params": [{"name": "max-args", "type": "int", "default": 20, "help": "arguments to show"}, {"name": "iface", "type": "interface"}],
	"columns": [{"name": "PID", "width": 7}, {"name": "DUR", "unit": "ms", "format": "duration", "hidden": true}],
	"limits": {"memory": "8M"}
}`
	for _, text := range []string{exampleManifest, json} {
		got, err := ParseManifest([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if m, err := ParseManifest(nil); err != nil || !reflect.DeepEqual(m, &Manifest{}) {
		t.Errorf("nothing: %+v, %v", m, err)
	}
}

func TestWrongManifestsAreExplained(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"neds: []", `manifest:1: a manifest has no field "neds"; did you mean "needs"?`},
		{"format: 2", "manifest:1: format 2 of manifests is not known"},
		{"name: a/b", `name "a/b": only letters`},
		{"name: \"a\\eb\"", "cannot be seen"},
		{"needs: [tracing]", `a need has to be fields: "grant: ..."`},
		{"needs: [{grant: tracing}]", `grant "tracing": say why`},
		{"needs: [{why: x}]", `a need has a "grant"`},
		{"needs: [{grant: all, why: x}]", "a plugin says what it needs"},
		{"needs:\n- {grant: xdp, why: x}\n- {grant: xdp, why: y}", `manifest:3: grant "xdp" comes twice`},
		{"needs: [{grant: xpd, why: x}]", `did you mean "xdp"?`},
		{"needs: [{grant: xdp, why: \"\\u202e\"}]", "cannot be seen"},
		{"params: [{name: A}]", "name of a parameter"},
		{"params: [{name: a, type: itn}]", `there is no type "itn"; did you mean "int"?`},
		{"params: [{name: a, type: int, default: x}]", `default of parameter a: "x" is no int`},
		{"params: [{name: a, type: bool, default: yes}]", `is no bool`},
		{"params: [{name: a}, {name: a}]", `parameter "a" comes twice`},
		{"params: [{help: a}]", `a parameter has a "name"`},
		{"columns: [{name: a, width: -1}]", "width is a number"},
		{"columns: [{name: a, format: hexx}]", `did you mean "hex"?`},
		{"columns: [{name: a}, {name: a}]", `column "a" comes twice`},
		{"columns: [{width: 1}]", `a column has a "name"`},
		{"limits: {memory: 9G}", "more than 4G"},
		{"{\"name\": \"a\",\n\"neds\": []}", `manifest:2: a manifest has no field "neds"`},
		{"{\"name\": \"a\",\n\"name\": \"b\"}", `manifest:2: field "name" comes twice`},
		{"{\"name\": null}", `name has to be a text`},
		{"needs: &a [*a]", "anchors and aliases are not taken"},
		{"needs: [" + strings.Repeat("{},", maxNeeds+1) + "]", "needs: 257, more than 256"},
		{strings.Repeat("#", maxManifest+1), "bytes, more than"},
	} {
		m, err := ParseManifest([]byte(c.in))
		if err == nil || m != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v %v, want an error with %s", c.in, m, err, c.want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(exampleManifest))
	f.Add([]byte(`{"name": "x", "params": [{"name": "a", "type": "size", "default": "4K"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			if m != nil || len(err.Error()) > 4096 || checkText(strings.ReplaceAll(err.Error(), "\n", "")) != nil {
				t.Errorf("error %q", err)
			}
			return
		}
		texts := []string{m.Name, m.Version, m.Description}
		for _, n := range m.Needs {
			texts = append(texts, n.Why, n.Grant.String())
		}
		for _, p := range m.Params {
			texts = append(texts, p.Name, p.Type, p.Default, p.Help)
			if p.HasDefault && p.Check(p.Default) != nil {
				t.Errorf("a wrong default: %+v", p)
			}
		}
		for _, c := range m.Columns {
			texts = append(texts, c.Name, c.Unit, c.Format)
		}
		for _, s := range texts {
			if checkText(s) != nil || len(s) > maxGrant {
				t.Errorf("text %q", s)
			}
		}
		if _, err := Effective(nil, Plugin{Manifest: m}, nil); err != nil {
			t.Error(err)
		}
	})
}

// numbered repeats a text with numbers in it.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func numberedIndents(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

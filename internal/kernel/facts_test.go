package kernel

import (
	"testing"

	"github.com/cilium/ebpf"
)

func TestEveryFactHasAVersion(t *testing.T) {
	for i, f := range programFacts {
		if _, ok := ProgramSince(f.typ); !ok || i > 0 && newer(t, programFacts[i-1].since, f.since) {
			t.Errorf("program type %s: since %q, or not in order", f.typ, f.since)
		}
	}
	for i, f := range mapFacts {
		if _, ok := MapSince(f.typ); !ok || i > 0 && newer(t, mapFacts[i-1].since, f.since) {
			t.Errorf("map type %s: since %q, or not in order", f.typ, f.since)
		}
	}
	for i, v := range helperVersions {
		if _, ok := known(v.since); !ok || i > 0 && newer(t, helperVersions[i-1].since, v.since) {
			t.Errorf("helpers up to %d: since %q, or not in order", v.last, v.since)
		}
	}
	for name, f := range hookFacts {
		since, ok := HookSince(name)
		attach, attachOK := AttachSince(name)
		if !ok || !attachOK || !attach.AtLeast(since.Major, since.Minor) || f.attach == f.since {
			t.Errorf("hook %s: %+v", name, f)
		}
	}
	for _, since := range []string{btfSince, globalDataSince, kfuncSince, linkSince} {
		if _, ok := known(since); !ok {
			t.Errorf("%q is no version", since)
		}
	}
	for _, set := range []probeSet{featureTests(), programTests(), mapTests(), (&probeHost{}).hookTests()} {
		for _, q := range set.tests {
			if _, ok := known(q.since); !ok {
				t.Errorf("%s: %s: since %q", set.id, q.name, q.since)
			}
		}
	}
}

// newer reports whether version a is newer than b.
func newer(t *testing.T, a, b string) bool {
	t.Helper()
	v, errA := ParseVersion(a)
	w, errB := ParseVersion(b)
	if errA != nil || errB != nil {
		t.Errorf("%q, %q: not both are versions", a, b)
	}
	return v != w && v.AtLeast(w.Major, w.Minor)
}

func TestWhatIsUnknownHasNoVersion(t *testing.T) {
	_, program := ProgramSince(ebpf.UnspecifiedProgram)
	_, mapType := MapSince(ebpf.UnspecifiedMap)
	_, hook := HookSince("")
	_, attach := AttachSince("nothing")
	_, helper := HelperSince("bpf_nothing")
	if program || mapType || hook || attach || helper {
		t.Errorf("got %t %t %t %t %t, want none", program, mapType, hook, attach, helper)
	}
}

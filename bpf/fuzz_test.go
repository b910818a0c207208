package bpf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// FuzzOpen feeds damaged objects to everything that looks at them before the kernel does.
func FuzzOpen(f *testing.F) {
	names, err := filepath.Glob("testdata/*.bpf.o")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Open(bytes.NewReader(b))
		if err != nil {
			if len(err.Error()) > 2000 || bytes.ContainsRune([]byte(err.Error()), '\n') {
				t.Errorf("not one line: %q", err)
			}
			return
		}
		s.Programs()
		s.Maps()
		s.NeedsBTF()
		plan := newLossPlan(s.coll, sortedMaps(s))
		if plan == nil {
			return
		}
		for _, p := range s.coll.Programs {
			sites := plan.sites(p.Instructions)
			for _, code := range []counterCode{atCheck, withBranch, withoutBranch, withoutChoice} {
				insns, err := instrument(p.Instructions, sites, 3, code)
				if err != nil {
					continue
				}
				checkJumps(t, p.Instructions, insns, sites, code)
			}
		}
	})
}

func sortedMaps(s *Spec) (names []string) {
	for _, m := range s.Maps() {
		names = append(names, m.Name)
	}
	return names
}

// checkJumps checks that each instruction which was not a counted call is still there, in order, and that each jump of the
// original leads to the same instruction.
func checkJumps(t *testing.T, before, after asm.Instructions, sites []site, code counterCode) {
	t.Helper()
	old, err := newLayout(before)
	if err != nil {
		t.Fatal(err)
	}
	now, err := newLayout(after)
	if err != nil {
		t.Fatalf("the new program is damaged: %v", err)
	}
	patches, err := old.patches(before, sites, 3, code)
	if err != nil {
		t.Fatal(err)
	}
	place, jump := make([]int, len(before)), make([]int, len(before)) // where each instruction is now, and itself if it is a jump
	j := 0
	for i := range before {
		place[i], jump[i] = j, j
		if p, ok := patches[i]; ok {
			jump[i] += p.jump
			j += len(p.code)
			continue
		}
		j++
	}
	if j != len(after) {
		t.Fatalf("%d instructions, want %d", len(after), j)
	}
	for i, to := range old.target {
		if got := now.target[jump[i]]; got != place[to] {
			t.Errorf("the jump at %d led to %d, now %d leads to %d, not %d", i, to, place[i], got, place[to])
		}
	}
}

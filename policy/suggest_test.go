package policy

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// randomAction answers an action out of a small world, so that grants and actions meet.
func randomAction(r *rand.Rand) Action {
	a := Action{Kind: Kind(r.Intn(int(kinds)))}
	name := randomOf(r, "a", "b", "ab", "a*", "eth1", "a/b")
	path := randomOf(r, "/", "/a", "/a/b", "/a/b/c", "/b", "/a:b", "/a*", "/..", "a")
	switch a.Kind {
	case Attach:
		id := headID(r.Intn(len(heads)))
		for heads[id].kind != Attach {
			id = headID(r.Intn(len(heads)))
		}
		h := heads[id]
		a.Hook, a.Name = h.name, name
		switch h.shape {
		case cgroupShape, pathShape, binaryShape, usdtShape, netnsShape:
			a.Name = path
		case noTarget:
			a.Name = ""
		}
		if h.shape == binaryShape {
			a.Symbol = randomOf(r, "", "f", "g", "f,g", "f*")
		}
		if h.shape == usdtShape {
			a.Symbol = randomOf(r, "p:f", "p:g")
		}
		if h.shape == netfilterShape {
			a.Name, a.Symbol = randomOf(r, "ipv4", "ipv6"), randomOf(r, "input", "forward")
		}
		if h.subs != "" {
			a.Sub = randomOf(r, append(strings.Fields(h.subs), "")...)
		}
		a.Offset = (h.shape == symbolShape || h.shape == binaryShape) && r.Intn(8) == 0
	case Load:
		a.Name = randomOf(r, programTypes...)
		a.Hook, a.Symbol = randomOf(r, "", "xdp", "kprobe", "tracepoint"), randomOf(r, "", "f", "a/b")
	case Helper:
		a.Name = randomOf(r, append(keys(helperRow), "#212", "nothing")...)
	case Kfunc:
		a.Name = randomOf(r, "bpf_rdonly_cast", "bpf_rcu_read_lock", "x")
	case Map:
		a.Name = randomOf(r, append(reachingMaps, "hash", "array")...)
	case Redirect, XSK:
		a.Name = randomOf(r, "eth0", "eth1")
	case File, Dir:
		a.Name, a.Write = path, a.Kind == Dir && r.Intn(2) == 0
	case Share, Pin, Env:
		a.Name = name
	}
	return a
}

// randomGrant answers a line that allows some action, or a group, or a pattern.
func randomGrant(r *rand.Rand) Grant {
	for {
		if r.Intn(6) == 0 {
			g, err := ParseGrant(randomOf(r, "tracing", "net-observe", "net-forward", "net-forward@eth*", "security", "all", "xdp@eth*", "cgroup:/a/*", "dir:/a",
				"dir:/**/b:rw", "uprobe:/a/*:f*", "kprobe:a*", "kprobe", "uprobe", "helper:bpf_probe_read_kernel", "prog:x*", "map:*", "env:a?"))
			if err != nil {
				panic(err)
			}
			return g
		}
		if g, ok := lineFor(randomAction(r)); ok {
			return g
		}
	}
}

func rightsWith(t *testing.T, allow, deny []Grant, needs []Grant, manifest bool) *Rights {
	t.Helper()
	p, plugin := &Policy{}, Plugin{}
	for _, g := range allow {
		p.Allow = append(p.Allow, Line{Grant: g})
	}
	for _, g := range deny {
		p.Deny = append(p.Deny, Line{Grant: g})
	}
	if manifest {
		plugin.Manifest = &Manifest{}
		for _, g := range needs {
			plugin.Manifest.Needs = append(plugin.Manifest.Needs, Need{Grant: g})
		}
	}
	return mustEffective(t, p, plugin, nil)
}

func randomGrants(r *rand.Rand, most int) []Grant {
	var gs []Grant
	for range r.Intn(most + 1) {
		gs = append(gs, randomGrant(r))
	}
	return gs
}

func check(t *testing.T, n int, property func(r *rand.Rand) error) {
	t.Helper()
	if testing.Short() {
		n /= 10
	}
	f := func(seed int64) bool {
		if err := property(rand.New(rand.NewSource(seed))); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			return false
		}
		return true
	}
	if err := quick.Check(f, &quick.Config{MaxCount: n}); err != nil {
		t.Error(err)
	}
}

func TestMoreGrantsNeverAllowLess(t *testing.T) {
	check(t, 1500, func(r *rand.Rand) error {
		a := randomAction(r)
		allow, deny, needs, manifest := randomGrants(r, 4), randomGrants(r, 2), randomGrants(r, 4), r.Intn(2) == 0
		before := rightsWith(t, allow, deny, needs, manifest).Check(a) == nil
		more := randomGrants(r, 3)
		allowMore := rightsWith(t, append(slices.Clone(allow), more...), deny, needs, manifest).Check(a) == nil
		wantMore := rightsWith(t, allow, deny, append(slices.Clone(needs), more...), manifest).Check(a) == nil
		denyMore := rightsWith(t, allow, append(slices.Clone(deny), more...), needs, manifest).Check(a) == nil
		whole := rightsWith(t, allow, deny, nil, false).Check(a) == nil
		switch {
		case before && !allowMore:
			return fmt.Errorf("%v allows %+v, with %v no more", allow, a, more)
		case before && !wantMore:
			return fmt.Errorf("asking for more, %v, allows less: %+v", more, a)
		case !before && denyMore:
			return fmt.Errorf("denying %v allows %+v", more, a)
		case before && !whole:
			return fmt.Errorf("a manifest allows %+v", a)
		}
		return nil
	})
}

func TestDenyWins(t *testing.T) {
	check(t, 1500, func(r *rand.Rand) error {
		a := randomAction(r)
		g, ok := lineFor(a)
		if !ok {
			return nil
		}
		allow := append(randomGrants(r, 3), g, mustGrant(t, "all"))
		if err := rightsWith(t, allow, []Grant{g}, nil, false).Check(a); err == nil && a.Kind != Load {
			return fmt.Errorf("%+v is allowed, though %q is denied", a, g)
		}
		return nil
	})
}

// What is denied does not come in under a wildcard, in a directory above, or at an offset: whatever action is allowed, all that it stands for
// is not denied.
func TestDeniedNamesDoNotComeInAsPatterns(t *testing.T) {
	names := allStrings("ab", 4)
	check(t, 1500, func(r *rand.Rand) error {
		pattern := randomOf(r, allStrings("ab*?", 4)...)
		deny := randomOf(r, allStrings("ab*?", 3)[1:]...)
		rights := rightsOf(t, "all", "!kprobe:"+deny)
		if rights.Check(attach("kprobe.multi", pattern)) != nil {
			return nil
		}
		for _, n := range names {
			if refMatch(pattern, n, false) && refMatch(deny, n, false) {
				return fmt.Errorf("%q may be attached to though %q is denied: %q", pattern, deny, n)
			}
		}
		return nil
	})
}

func TestSuggestionsAreEnoughAndNoneIsNeedless(t *testing.T) {
	check(t, 1500, func(r *rand.Rand) error {
		var actions []Action
		all := rightsOf(t, "all")
		for range r.Intn(12) {
			if a := randomAction(r); all.Check(a) == nil {
				if _, ok := lineFor(a); ok || isFree(&a) {
					actions = append(actions, a)
				}
			}
		}
		actions = slices.DeleteFunc(actions, func(a Action) bool { return unnameable(a) })
		got := Suggest(actions)
		allowed := func(gs []Grant) error {
			rights := rightsWith(t, gs, nil, nil, false)
			for _, a := range actions {
				if err := rights.Check(a); err != nil {
					return err
				}
			}
			return nil
		}
		if err := allowed(got); err != nil {
			return fmt.Errorf("%v is not enough: %w", got, err)
		}
		for i := range got {
			if less := slices.Delete(slices.Clone(got), i, i+1); allowed(less) == nil {
				return fmt.Errorf("%v: %q is needless for %+v", got, got[i], actions)
			}
		}
		r.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
		if again := Suggest(actions); !slices.Equal(got, again) {
			return fmt.Errorf("%v in one order, %v in another", got, again)
		}
		for _, g := range got {
			if isGroup(g.head) || g.head == allHead {
				return fmt.Errorf("suggests the group %q", g)
			}
		}
		return nil
	})
}

// unnameable reports whether a part of a list has no grant.
func unnameable(a Action) bool {
	return slices.ContainsFunc(a.split(), func(one Action) bool { _, ok := lineFor(one); return !ok && !isFree(&one) })
}

func TestSuggest(t *testing.T) {
	got := Suggest([]Action{
		do(Load, "kprobe"), do(Load, "tracing"), do(Load, "sched_act"), attach("kretprobe", "x"), attach("kprobe", "x"), attach("tcx", "eth0"), attach("tc", "eth0"),
		do(Helper, "bpf_probe_read_user_str"), do(Helper, "bpf_probe_read_user"), do(Helper, "bpf_map_lookup_elem"), do(Map, "hash"),
		do(Map, "devmap"), do(Dir, "/var/log"), write("/var/log"), do(Dir, "/var/log/x"), {Kind: Clock}, {Kind: Symbols},
		{Kind: Load, Hook: "tp_btf", Name: "tracing", Symbol: "sched_switch"}, attach("nonsense", "x"), do(Dir, "relative"),
	})
	want := "tc@eth0 tp_btf:sched_switch kprobe:x prog:sched_act helper:bpf_probe_read_user map:devmap symbols dir:/var/log:rw"
	var texts []string
	for _, g := range got {
		texts = append(texts, g.String())
	}
	if strings.Join(texts, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(texts, " "), want)
	}
}

func TestAFloodOfActionsTakesLittleTime(t *testing.T) {
	for _, name := range []string{"f%d", "f", "%d*"} {
		var actions []Action
		for i := range 20000 {
			n := name
			if strings.Contains(name, "%") {
				n = fmt.Sprintf(name, i)
			}
			actions = append(actions, Action{Kind: Attach, Hook: "kprobe", Name: n, Symbol: fmt.Sprint(i)})
		}
		begin := time.Now()
		if got := Suggest(actions); len(got) == 0 {
			t.Error("nothing suggested")
		}
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

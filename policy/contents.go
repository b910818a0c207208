package policy

import "slices"

// Contents are what a look into a plugin tells about what it will do, without running it.
type Contents struct {
	// Actions are what it does. The Name is empty where the plugin chooses it when it runs.
	Actions []Action
	// Perhaps are what it can do, and may not want to; names as in Actions.
	Perhaps []Action
	// Everywhere are the hooks whose place it chooses when it runs.
	Everywhere []Line
	// Unseen says that it can load programs that are not to be seen in it: it makes them when it runs, or reads them from somewhere.
	Unseen bool
}

// Needs answers the smallest list of grants for what the contents do: hooks everywhere whose place is not known, and for all else the
// narrowest lines, as [Suggest] finds them.
func (c *Contents) Needs() []Grant { return grantsFor(c.Actions, c.Everywhere) }

func grantsFor(actions []Action, everywhere []Line) []Grant {
	var hooks []Grant
	for _, l := range everywhere {
		hooks = append(hooks, l.Grant)
	}
	for i := 0; i < len(hooks); {
		others := slices.Delete(slices.Clone(hooks), i, i+1)
		if set := rulesOf(others...); set.includesHook(hooks[i]) {
			hooks = others
			continue
		}
		i++
	}
	set := rulesOf(hooks...)
	left := slices.DeleteFunc(slices.Clone(actions), func(a Action) bool { return isFree(&a) || set.includesAction(&a) })
	return append(hooks, Suggest(left)...)
}

// rulesOf makes rules out of grants as they stand, local names included.
func rulesOf(grants ...Grant) *ruleset {
	set := &ruleset{}
	for _, g := range grants {
		l := &Line{Grant: g}
		if _, ok := headByName[g.head]; ok || g.head == allHead {
			set.addPlain(l, g)
			continue
		}
		for _, text := range groupLines(g.head, g.target) {
			if member, err := ParseGrant(text); err == nil {
				set.addPlain(l, member)
			}
		}
	}
	return set
}

func (r *ruleset) addPlain(l *Line, g Grant) {
	if g.head == allHead {
		_ = r.add(l, nil, &ruleset{})
		return
	}
	r.addGrant(l, g, &ruleset{})
}

// includesAction reports whether some rule allows an action, or could if it has no name yet.
func (r *ruleset) includesAction(a *Action) bool {
	id, ok := a.head()
	switch {
	case !ok:
		return false
	case a.Name == "" && heads[id].shape != noTarget:
		return len(r.byHead[id]) > 0
	}
	return r.find(id, a) != nil
}

// includesHook reports whether some rule allows a hook somewhere.
func (r *ruleset) includesHook(hook Grant) bool {
	id, ok := headByName[hook.head]
	return ok && slices.ContainsFunc(r.byHead[id], func(x rule) bool {
		return x.grant.sub == "" || hook.sub == "" || includesSub(x.grant.sub, hook.sub)
	})
}

// Sight says what is known of a grant when the contents of a plugin are looked at.
type Sight uint8

const (
	// NotNeeded means that nothing in the contents needs it.
	NotNeeded Sight = iota
	// MayBeNeeded means that only a run can tell.
	MayBeNeeded
	// Needed means that something in the contents needs it.
	Needed
)

// String answers "no", "perhaps" or "yes".
func (s Sight) String() string {
	switch s {
	case Needed:
		return "yes"
	case MayBeNeeded:
		return "perhaps"
	}
	return "no"
}

// Comparison says where a manifest and the contents of its plugin agree.
type Comparison struct {
	// Needs has for each need of the manifest what the contents tell about it.
	Needs []Sight
	// Missing are the grants that the contents need and no need of the manifest includes.
	Missing []Grant
}

// Compare looks what the contents of a plugin tell about its manifest.
func (m *Manifest) Compare(c Contents) Comparison {
	var out Comparison
	var all []Grant
	for _, n := range m.Needs {
		out.Needs = append(out.Needs, c.sight(n.Grant))
		all = append(all, n.Grant)
	}
	set := rulesOf(all...)
	actions := slices.DeleteFunc(slices.Clone(c.Actions), func(a Action) bool { return isFree(&a) || set.includesAction(&a) })
	everywhere := slices.DeleteFunc(slices.Clone(c.Everywhere), func(l Line) bool { return set.includesHook(l.Grant) })
	out.Missing = grantsFor(actions, everywhere)
	return out
}

// sight looks for what needs a grant.
func (c *Contents) sight(g Grant) Sight {
	set := rulesOf(g)
	own := func(a Action) bool { // a hook includes loading its programs, but that alone is no need of it
		id, ok := a.head()
		return ok && (a.Kind != Load && a.Kind != Map || heads[headByName[g.head]].kind == a.Kind || !isHead(g)) && len(set.byHead[id]) > 0
	}
	best := NotNeeded
	for i := range c.Actions {
		a := c.Actions[i]
		switch {
		case !own(a) || isFree(&a) && !freeByDefault(a.Kind):
		case a.Name == "" && !plain(g):
			best = max(best, MayBeNeeded)
		case set.includesAction(&a):
			return Needed
		case a.Kind == Attach: // its section says another place, but the plugin may choose this one
			best = max(best, MayBeNeeded)
		}
	}
	for _, l := range c.Everywhere {
		switch {
		case !set.includesHook(l.Grant):
		case plain(g):
			return Needed
		default:
			best = max(best, MayBeNeeded)
		}
	}
	if slices.ContainsFunc(c.Perhaps, func(a Action) bool { return own(a) && set.includesAction(&a) }) {
		best = max(best, MayBeNeeded)
	}
	if c.Unseen && (!isHead(g) || ofPrograms(heads[headByName[g.head]].kind)) {
		best = max(best, MayBeNeeded)
	}
	return best
}

// plain reports whether a grant is for all of its kind, so that it does not matter which one is chosen.
func plain(g Grant) bool { return g.target == "" }

func isHead(g Grant) bool { _, ok := headByName[g.head]; return ok }

func freeByDefault(k Kind) bool { return k == Clock || k == Random }

// ofPrograms reports whether a kind of action is one that a BPF object asks for.
func ofPrograms(k Kind) bool {
	return k == Attach || k == Load || k == Helper || k == Kfunc || k == Map
}

// Danger answers why a grant has to be weighed more than others: what a helper does that no hook and no group includes. It is empty for
// all other grants.
func (g Grant) Danger() string {
	switch id, ok := headByName[g.head]; {
	case g.head == allHead:
		return "everything"
	case !ok || heads[id].kind != Helper:
		return ""
	}
	if i, ok := helperRow[g.target]; !ok {
		return "nobody has judged this helper yet"
	} else if i >= 0 {
		return dangerous[i].reason
	}
	return ""
}

package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// lineFor answers the narrowest grant that allows an action. It reports false for actions that no grant can name.
func lineFor(a Action) (Grant, bool) {
	id, ok := a.head()
	if !ok || !judgeable(id, &a) || a.hasClasses() {
		return Grant{}, false
	}
	h := &heads[id]
	if a.Kind == Load && a.Hook != "" {
		if g, ok := lineForSection(a); ok {
			return g, true
		}
	}
	g := Grant{head: h.name, target: a.Name}
	if h.shape == noTarget {
		g.target = ""
	}
	if a.Kind == Attach {
		if h.subs != "" && subOf(h.subs, a.Sub) {
			g.sub = a.Sub
		}
		if h.shape == binaryShape || h.shape == usdtShape || h.shape == netfilterShape {
			g.symbol = a.Symbol
		}
	}
	if a.anywhere() {
		if g.symbol = ""; h.shape == symbolShape {
			g.target = ""
		}
	}
	if h.kind == Helper {
		g.target = broader(a.Name)
	}
	g.write = h.shape == dirShape && a.Write
	// What a grant cannot say, it does not say: only what reads back as the same grant is one.
	if back, err := ParseGrant(g.String()); err != nil || back != g {
		return Grant{}, false
	}
	return g, true
}

// lineForSection answers the grant of the hook that a program is for, which lets it be loaded and attached, when its section says where.
func lineForSection(a Action) (Grant, bool) {
	id := headByName[a.Hook]
	if !ownHook(&a) || a.Symbol == "" {
		return Grant{}, false
	}
	sep := ":"
	if s := heads[id].shape; s == ifaceShape || s == netnsShape || s == cgroupShape || s == noTarget {
		return Grant{}, false // a section name cannot know
	}
	g, err := ParseGrant(a.Hook + sep + a.Symbol)
	return g, err == nil
}

// broader answers the helper that stands for others with the same power: one line in place of two for the variant with "_str".
func broader(helper string) string {
	for _, h := range dangerous {
		if h.name == "bpf_probe_read_kernel" {
			continue // includes more than variants of itself
		}
		if slices.Contains(strings.Fields(h.with), helper) {
			return h.name
		}
	}
	if strings.HasPrefix(helper, "bpf_probe_read_kernel") {
		return "bpf_probe_read_kernel"
	}
	return helper
}

// maxSuggest is up to how many different actions Suggest looks for lines that others make unnecessary, which takes the square of it in time.
const maxSuggest = 2048

// Suggest answers the grants that allow all the given actions: the narrowest line for each, sorted, without groups and patterns of its own,
// and without those that another line includes; so that without any of them one of the actions is denied. Actions that need no
// grant, or that none can name, have none. Of more than about 2000 different actions all lines are kept.
func Suggest(actions []Action) []Grant {
	byGrant, seen, n := map[Grant][]Action{}, map[Action]bool{}, 0
	for _, a := range actions {
		for _, one := range a.split() {
			if isFree(&one) || seen[one] {
				continue
			}
			seen[one] = true
			if g, ok := lineFor(one); ok {
				byGrant[g] = append(byGrant[g], one)
				n++
			}
		}
	}
	grants := sorted(slices.Collect(maps.Keys(byGrant)))
	if len(grants)*n > maxSuggest*maxSuggest {
		return grants
	}
	return withoutNeedless(grants, byGrant)
}

func (a Action) split() []Action {
	part := a.listed()
	if part == nil || len(*part) > maxName || strings.IndexByte(*part, ',') < 0 {
		return []Action{a}
	}
	var out []Action
	for name := range strings.SplitSeq(*part, ",") {
		*part = name
		out = append(out, a)
	}
	return out
}

// sorted puts grants as people read them: hooks first, in the order of heads.
func sorted(grants []Grant) []Grant {
	type row struct {
		id   headID
		text string
		g    Grant
	}
	rows := make([]row, len(grants))
	for i, g := range grants {
		rows[i] = row{headByName[g.head], g.String(), g}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.id, b.id), strings.Compare(a.text, b.text)) })
	for i := range rows {
		grants[i] = rows[i].g
	}
	return grants
}

// withoutNeedless takes out one by one the grants without which all actions are still allowed; the narrow ones first, as they are more
// likely to be part of others.
func withoutNeedless(grants []Grant, byGrant map[Grant][]Action) []Grant {
	var none ruleset
	sets := make([]ruleset, len(grants))
	for i, g := range grants {
		sets[i].addGrant(&Line{Grant: g}, g, &none)
	}
	var actions []Action
	for _, g := range grants {
		actions = append(actions, byGrant[g]...)
	}
	covers := make([]int, len(actions)) // how many grants allow each action
	by := make([][]int, len(grants))    // the actions that each grant allows
	for i := range grants {
		for j := range actions {
			a := &actions[j]
			if id, ok := a.head(); ok && sets[i].find(id, a) != nil {
				covers[j]++
				by[i] = append(by[i], j)
			}
		}
	}
	order := make([]int, len(grants))
	for i := range order {
		order[i] = len(order) - 1 - i // of equal ones the first stays
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(len(by[x]), len(by[y])) })
	keep := make([]bool, len(grants))
	for _, i := range order {
		keep[i] = slices.ContainsFunc(by[i], func(j int) bool { return covers[j] == 1 })
		if !keep[i] {
			for _, j := range by[i] {
				covers[j]--
			}
		}
	}
	var out []Grant
	for i, g := range grants {
		if keep[i] {
			out = append(out, g)
		}
	}
	return out
}

// actionsOf answers the actions that a grant, with local names resolved, stands for, with wildcards in them.
func actionsOf(g Grant) []Action {
	if g.head == allHead {
		var out []Action
		for i := range heads {
			out = append(out, actionOf(Grant{head: heads[i].name}))
		}
		return out
	}
	if _, ok := headByName[g.head]; ok {
		return []Action{actionOf(g)}
	}
	var out []Action
	for _, text := range groupLines(g.head, g.target) {
		if member, err := ParseGrant(text); err == nil {
			out = append(out, actionOf(member))
		}
	}
	return out
}

func actionOf(g Grant) Action {
	h := &heads[headByName[g.head]]
	a := Action{Kind: h.kind, Sub: g.sub, Name: g.target, Symbol: g.symbol, Write: g.write}
	if h.kind == Attach {
		a.Hook = h.name
	}
	if h.shape == netfilterShape || h.shape == binaryShape || h.shape == usdtShape {
		a.Symbol = cmp.Or(g.symbol, "*")
	}
	if a.Name != "" {
		return a
	}
	switch h.shape {
	case noTarget:
	case eventShape:
		a.Name = "*/*"
	case cgroupShape, pathShape, dirShape, netnsShape:
		a.Name = "/**"
	case binaryShape, usdtShape:
		a.Name = "**"
	default:
		a.Name = "*"
	}
	return a
}

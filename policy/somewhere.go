package policy

import (
	"fmt"
	"strings"
)

// ExplainSomewhere is as [Rights.Explain] for an action whose Name is not known yet, because the plugin chooses it when it runs: a hook
// without its place, a share without its name. It is allowed if it is for some name.
func (r *Rights) ExplainSomewhere(a Action) Decision {
	id, ok := a.head()
	if !ok || heads[id].shape == noTarget || a.Name != "" {
		return r.Explain(a)
	}
	what := strings.Replace(a.Verb(), " the name", " a name", 1) + ", which it chooses when it runs"
	if a.Kind == Attach {
		what = a.Verb() + ", where it chooses when it runs"
	}
	fits := func(x *rule) bool {
		return !x.implied && (x.grant.sub == "" || a.Sub == "" || includesSub(x.grant.sub, a.Sub) || includesSub(a.Sub, x.grant.sub))
	}
	first := func(set *ruleset) *rule {
		for i := range set.byHead[id] {
			if x := &set.byHead[id][i]; fits(x) {
				return x
			}
		}
		return nil
	}
	for i := range r.deny.byHead[id] {
		if x := &r.deny.byHead[id][i]; x.all || x.grant.target == "" && fits(x) {
			return Decision{Line: x.line, Text: fmt.Sprintf("%s: denied by %q (%s)", what, x.line.Grant, x.line.Source())}
		}
	}
	g := Grant{head: heads[id].name, sub: a.Sub}
	by := first(&r.added)
	if by == nil {
		by = first(&r.box)
		if by != nil && r.narrow && first(&r.wanted) == nil {
			return Decision{Line: by.line, Text: fmt.Sprintf("%s: the policy grants it by %q (%s), but the plugin's manifest does not ask for it; to let it, add --allow %q",
				what, by.line.Grant, by.line.Source(), g)}
		}
	}
	if by == nil {
		text := fmt.Sprintf("%s: not granted; add %q to the policy", what, g)
		if g.Narrower() != "" {
			text += fmt.Sprintf(", or only where it may: %q", g.Narrower())
		}
		return Decision{Text: text, Add: g.String()}
	}
	return Decision{Allowed: true, Line: by.line, Text: fmt.Sprintf("%s: granted by %q (%s)", what, by.line.Grant, by.line.Source())}
}

// Narrower answers an example of a grant for one place or name, for one that is for all of them: "xdp@eth1" for "xdp". It is empty where there
// is none.
func (g Grant) Narrower() string {
	id, ok := headByName[g.head]
	if !ok || g.target != "" || heads[id].shape == noTarget {
		return ""
	}
	return g.String() + heads[id].example()
}

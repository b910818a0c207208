package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrDenied is matched by every [*Denied].
var ErrDenied = errors.New("denied by policy")

// Denied says what was not allowed, and what to do about it.
type Denied struct {
	// Action is what was to be done; of a list of names, the first that is not allowed.
	Action Action
	// Line is the line that denies it, or the policy's line that would allow it if the manifest asked. Nil if no line is about it.
	Line *Line
	// Add is the grant that would allow it. Empty if a line denies it: then adding one does not help.
	Add string

	reason string
}

func (d *Denied) Error() string { return d.Action.String() + ": " + d.reason }

// Is reports whether target is [ErrDenied].
func (d *Denied) Is(target error) bool { return target == ErrDenied }

// Check answers nil if the action is allowed, else a [*Denied], which matches [ErrDenied]. It takes no memory when it allows.
func (r *Rights) Check(a Action) error {
	if a.Kind < kinds && r.always[a.Kind] {
		return nil
	}
	if a.Kind == Attach && (hasSigns(a.Name) || hasSigns(a.Symbol)) {
		one, v, x := r.decideList(a)
		if v <= free {
			return nil
		}
		return r.denial(one, v, x)
	}
	v, x := r.decide(&a)
	if v <= free {
		return nil
	}
	return r.denial(a, v, x)
}

// listed answers the part of an action that may be names with commas between them.
func (a *Action) listed() *string {
	id, ok := a.head()
	switch {
	case !ok || a.Kind != Attach:
		return nil
	case heads[id].shape == binaryShape:
		return &a.Symbol
	case heads[id].shape == symbolShape:
		return &a.Name
	}
	return nil
}

// hasSigns reports whether a name may be more than one. It is quick, as most are not.
func hasSigns(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < '@' && (c == ',' || c == '*' || c == '?') {
			return true
		}
	}
	return false
}

// hasClasses reports whether a pattern of the multi hooks has more in it than "*" and "?": what it includes is not to be seen then.
func (a *Action) hasClasses() bool {
	return a.Kind == Attach && (hasClasses(a.Name) || hasClasses(a.Symbol))
}

func hasClasses(s string) bool {
	return isPattern(s) && (strings.IndexByte(s, '[') >= 0 || strings.IndexByte(s, '\\') >= 0)
}

// decideList judges actions whose names may be several, with commas between them: each by itself. It answers the first that is not allowed,
// or the last.
func (r *Rights) decideList(a Action) (Action, verdict, *rule) {
	part := a.listed()
	switch {
	case a.hasClasses(), part != nil && len(*part) > maxName:
		return a, malformed, nil
	case part == nil || strings.IndexByte(*part, ',') < 0:
		v, x := r.decide(&a)
		return a, v, x
	}
	rest := *part
	for {
		name, more, found := strings.Cut(rest, ",")
		*part = name
		v, x := r.decide(&a)
		if v > free || !found {
			return a, v, x
		}
		rest = more
	}
}

// denial is not part of the fast way.
//
//go:noinline
func (r *Rights) denial(a Action, v verdict, x *rule) *Denied {
	d := &Denied{Action: a}
	if x != nil {
		d.Line = x.line
	}
	switch v {
	case denied:
		d.reason = fmt.Sprintf("denied by %q (%s)", x.line.Grant, x.line.Source())
		return d
	case malformed:
		d.reason = malformation(&a)
		return d
	}
	g, ok := lineFor(a)
	if ok {
		d.Add = g.String()
	}
	switch {
	case v == unwanted && ok:
		d.reason = fmt.Sprintf("the policy grants it by %q (%s), but the plugin's manifest does not ask for it; to let it, add --allow %q",
			x.line.Grant, x.line.Source(), d.Add)
	case !ok:
		d.reason = "not granted, and no grant can name it"
	case a.Kind == Load && g.head == "prog" && ownHook(&a):
		alone := d.Add
		d.Add = hookGrant(&a)
		d.reason = fmt.Sprintf("not granted; it comes with a grant of its hook, such as %q, or alone with %q", exampleOf(d.Add, a.Hook), alone)
	default:
		d.reason = fmt.Sprintf("%s; add %q to the policy", r.lacking(&a), d.Add)
	}
	return d
}

// hookGrant is a grant with which a program can be loaded and attached: where its section says, else everywhere.
func hookGrant(a *Action) string {
	switch h := &heads[headByName[a.Hook]]; h.shape {
	case noTarget, ifaceShape, netnsShape, cgroupShape:
	default:
		if g, err := ParseGrant(a.Hook + ":" + a.Symbol); err == nil && a.Symbol != "" {
			return g.String()
		}
	}
	return a.Hook
}

// exampleOf is a grant, or an example of a narrower one where it is for all of a hook.
func exampleOf(grant, hook string) string {
	if grant != hook {
		return grant
	}
	return hook + heads[headByName[hook]].example()
}

// ownHook reports whether the program that is loaded is of a type that a grant of its hook includes.
func ownHook(a *Action) bool {
	id, ok := headByName[a.Hook]
	return ok && heads[id].kind == Attach && slices.Contains(heads[id].programs, a.Name)
}

// lacking says what is missing: the grant as a whole, or this target of it.
func (r *Rights) lacking(a *Action) string {
	id, _ := a.head()
	if a.Kind == Helper {
		if i, ok := helperRow[a.Name]; ok && i >= 0 {
			return "not granted, because it " + dangerous[i].reason
		}
		return "not granted, because nobody has judged this helper yet"
	}
	if a.Kind == Dir && a.Write && r.reads(id, *a) {
		return "granted for reading only"
	}
	for _, set := range []*ruleset{&r.added, &r.box} {
		for i := range set.byHead[id] {
			if !set.byHead[id][i].implied {
				return heads[id].noun() + " not granted"
			}
		}
	}
	return "not granted"
}

func (r *Rights) reads(id headID, a Action) bool {
	a.Write = false
	return r.added.find(id, &a) != nil || r.box.find(id, &a) != nil
}

func (h *head) noun() string {
	switch h.shape {
	case ifaceShape:
		return "interface"
	case netnsShape:
		return "network namespace"
	case cgroupShape:
		return "control group"
	case pathShape, binaryShape, usdtShape:
		return "file"
	case dirShape:
		return "directory"
	}
	if h.kind == Load || h.kind == Map {
		return "type"
	}
	return "name"
}

func malformation(a *Action) string {
	id, ok := a.head()
	switch {
	case a.Kind == Attach && !ok:
		return "there is no such hook"
	case !ok:
		return "there is no such action"
	case len(a.Name) > maxName || len(a.Symbol) > maxName:
		return fmt.Sprintf("a name of more than %d bytes", maxName)
	case hasNUL(a):
		return "a name with a NUL in it"
	case a.hasClasses():
		return `a pattern with [ or \ cannot be judged; use only * and ?`
	case a.Name == "":
		return heads[id].noun() + " not given"
	}
	return "the path is not absolute, or has empty parts, \".\" or \"..\""
}

// Decision says whether an action is allowed and what decides it.
type Decision struct {
	// Allowed says whether it is.
	Allowed bool
	// Line is the line that decides. Nil if no line is about it.
	Line *Line
	// Add is the grant that would allow it, as in [Denied].
	Add string
	// Text is a sentence for people.
	Text string
}

// Explain answers what Check decides about an action, and why.
func (r *Rights) Explain(a Action) Decision {
	one, v, x := r.decideList(a)
	switch v {
	case free:
		return Decision{Allowed: true, Text: one.String() + ": allowed, it needs no grant"}
	case granted:
		text := fmt.Sprintf("%s: granted by %q (%s)", a, x.line.Grant, x.line.Source())
		if x.grant != x.line.Grant {
			text += fmt.Sprintf(", which includes %q", x.grant)
		}
		return Decision{Allowed: true, Line: x.line, Text: text}
	}
	err := r.denial(one, v, x)
	d := Decision{Text: err.Error(), Add: err.Add}
	if x != nil {
		d.Line = x.line
	}
	return d
}

// Includes answers nil if the rights include all that a grant stands for: the question whether this box grants what a manifest asks for. names
// are the box's local names. The error is as that of [Rights.Check], of the first part that is not allowed.
func (r *Rights) Includes(g Grant, names Names) error {
	g, err := names.resolve(g)
	if err != nil {
		return fmt.Errorf("grant %q: %w", g, err)
	}
	for _, a := range actionsOf(g) {
		if err := r.Check(a); err != nil {
			return err
		}
	}
	return nil
}

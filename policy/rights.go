package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Plugin is what is known of a plugin when its rights are worked out.
type Plugin struct {
	// Name is what the operator calls it: the name of its file without ".wasm", or of its artifact. Never what its manifest says: a plugin
	// could give itself the name of another one.
	Name string
	// Digest is the SHA-256 of its file, in hexadecimal. It finds a section of the policy before the Name does.
	Digest string
	// Manifest is what it asks for. Nil means that it has none: then it has the rights of the box's policy, whole.
	Manifest *Manifest
}

// Rights are what one plugin may do. They do not change and are safe for concurrent use. The zero Rights grant what the zero [Policy]
// grants: standard input and output, and the clock and random numbers, without which most programs do not start.
type Rights struct {
	deny   ruleset // wins
	added  ruleset // by the operator, for this run
	box    ruleset
	wanted ruleset // by the manifest
	narrow bool    // there is a manifest, so that what it does not ask for is not granted
	// always are the kinds of action that are allowed whatever their names are: most checks end there.
	always [kinds]bool
	lines  []Line
	limits Limits
}

// Effective works out what a plugin may do: what the manifest asks for and the box's policy grants, and what the operator adds. What the
// policy denies stays denied. box may be nil, which is the policy that grants nothing.
func Effective(box *Policy, p Plugin, added []Line) (*Rights, error) {
	if box == nil {
		box = &Policy{}
	}
	r := &Rights{}
	section := box.section(p)
	allow := slices.Concat(box.Allow, section.Allow)
	if section.Replace {
		allow = section.Allow
	}
	deny := slices.Concat(box.Deny, section.Deny)
	// The rules point into r.lines, which has its size from the beginning.
	r.lines = make([]Line, 0, len(deny)+len(added)+len(allow)+wants(p.Manifest))
	for _, part := range []struct {
		to    *ruleset
		lines []Line
		deny  *ruleset
	}{{&r.deny, deny, nil}, {&r.added, added, &r.deny}, {&r.box, allow, &r.deny}} {
		seen := map[Grant]bool{}
		for _, l := range part.lines {
			l.Deny = part.deny == nil
			kept := r.keep(l)
			if seen[l.Grant] { // the first line decides
				continue
			}
			seen[l.Grant] = true
			if err := part.to.add(kept, box.Names, part.deny); err != nil {
				return nil, fmt.Errorf("%s: %w", l.Source(), err)
			}
		}
	}
	r.limits = box.Limits.With(section.Limits)
	if m := p.Manifest; m != nil {
		r.narrow = true
		r.limits = r.limits.lowered(m.Limits)
		for _, n := range m.Needs {
			// A local name that this box does not have is no error of the box: the need is just not met.
			_ = r.wanted.add(r.keep(Line{Grant: n.Grant, File: manifestSource}), box.Names, &r.deny)
		}
	}
	r.settle()
	return r, nil
}

// settle finds the kinds of action that no name decides about.
func (r *Rights) settle() {
	for k := range kinds {
		if k != Attach && heads[headOfKind[k]].shape == noTarget {
			v, _ := r.decide(&Action{Kind: k})
			r.always[k] = v <= free
		}
	}
}

const manifestSource = "manifest"

func wants(m *Manifest) int {
	if m == nil {
		return 0
	}
	return len(m.Needs)
}

func (r *Rights) keep(l Line) *Line {
	r.lines = append(r.lines, l)
	return &r.lines[len(r.lines)-1]
}

// verdict says how a decision was reached.
type verdict uint8

const (
	granted   verdict = iota
	free              // needs no grant
	denied            // by a line
	missing           // not granted by anything
	unwanted          // the box grants it, but the manifest does not ask for it
	malformed         // the action itself cannot be judged
)

// decide is the one place where all is decided. rule is the one that does, if there is one.
func (r *Rights) decide(a *Action) (verdict, *rule) {
	id, ok := a.head()
	if !ok || !judgeable(id, a) {
		return malformed, nil
	}
	if len(r.deny.byHead[id]) > 0 {
		if x := r.deny.touches(id, a); x != nil {
			return denied, x
		}
	}
	if isFree(a) {
		return free, nil
	}
	if len(r.added.byHead[id]) > 0 {
		if x := r.added.find(id, a); x != nil {
			return granted, x
		}
	}
	x := r.box.find(id, a)
	switch {
	case x == nil:
		return missing, nil
	case r.narrow && r.wanted.find(id, a) == nil:
		return unwanted, x
	}
	return granted, x
}

// isFree reports whether an action needs no grant.
func isFree(a *Action) bool {
	switch a.Kind {
	case Clock, Random:
		return true
	case Helper:
		i, known := helperRow[a.Name]
		return known && i < 0
	case Kfunc:
		return freeKfunc(a.Name)
	case Map:
		return ownMaps[a.Name]
	}
	return false
}

// judgeable refuses names that could mean something else to the kernel than to a pattern.
func judgeable(id headID, a *Action) bool {
	if heads[id].shape == noTarget {
		return true
	}
	if len(a.Name) > maxName || len(a.Symbol) > maxName || hasNUL(a) {
		return false
	}
	switch heads[id].shape {
	case cgroupShape, pathShape, dirShape:
		return a.Name != "" && a.Name[0] == '/' && cleanPath(a.Name)
	case binaryShape, usdtShape:
		return a.Name != "" && cleanPath(a.Name) && (a.Name[0] == '/' || strings.IndexByte(a.Name, '/') < 0)
	case netnsShape:
		return a.Name == "." || a.Name != "" && a.Name[0] == '/' && cleanPath(a.Name)
	}
	return true
}

// hasNUL reports whether the kernel would see less of a name than a pattern does.
func hasNUL(a *Action) bool {
	return strings.IndexByte(a.Name, 0) >= 0 || strings.IndexByte(a.Symbol, 0) >= 0
}

// Limits are what the plugin may use, with the defaults filled in.
func (r *Rights) Limits() Limits { return r.limits.filled() }

// All reports whether everything is granted, by the word "all". Say so: it is for one's own desk.
func (r *Rights) All() bool {
	return slices.ContainsFunc(r.lines, func(l Line) bool { return l.Grant.head == allHead && !l.Deny && l.File != manifestSource })
}

// Lines are the lines that are in force: first those that deny, then those that the operator added, then those of the policy, then those of
// the manifest, which narrow the policy's.
func (r *Rights) Lines() []Line { return slices.Clone(r.lines) }

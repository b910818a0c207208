package policy

import (
	"errors"
	"slices"
)

// Preopen is a directory that a plugin gets when it starts.
type Preopen struct {
	// Path is where it is on the host, as the grant has it: symbolic links are still in it.
	Path string
	// Guest is the name by which the plugin finds it: what its manifest says, "/logs/app" for "dir:logs/app".
	Guest string
	// Write allows changes.
	Write bool
	// Asked says that the manifest asks for it.
	Asked bool
	// Err is why the plugin does not get it, a [*Denied]. It is nil for all that no manifest asks for.
	Err error
}

// Preopens answers the directories that a plugin gets: those that a line names, without wildcards, and that it may read. Lines with wildcards
// name none; they bound what other lines may name. What the manifest asks for and does not get is there with an error. What is to be
// written and is granted for reading only is there for reading.
func (r *Rights) Preopens() []Preopen {
	id := headOfKind[Dir]
	var out []Preopen
	for _, part := range []struct {
		set   *ruleset
		asked bool
	}{{&r.wanted, true}, {&r.added, false}, {&r.box, false}} {
		for _, x := range part.set.byHead[id] {
			if x.all || x.implied || isPattern(x.grant.target) {
				continue
			}
			p := Preopen{Path: x.grant.target, Guest: x.line.Grant.target, Asked: part.asked, Write: x.grant.write}
			if p.Guest[0] != '/' { // a local name
				p.Guest = "/" + p.Guest
			}
			err := r.Check(Action{Kind: Dir, Name: p.Path, Write: p.Write})
			if err != nil && p.Write && r.Check(Action{Kind: Dir, Name: p.Path}) == nil {
				p.Write, err = false, nil
			}
			p.Err = err
			out = addPreopen(out, p)
		}
	}
	return out
}

// addPreopen adds a directory, or the right to write to one that is there.
func addPreopen(out []Preopen, p Preopen) []Preopen {
	there := false
	for i := range out {
		if o := &out[i]; o.Path == p.Path && (!p.Asked || o.Guest == p.Guest) {
			there = true
			if p.Err == nil {
				o.Write, o.Err = o.Write || p.Write, nil
			}
		}
	}
	if there || p.Err != nil && !p.Asked {
		return out
	}
	return append(out, p)
}

// DeniedDirs answers the directories that lines deny by their paths, without wildcards. Write says that only writing is denied.
func (r *Rights) DeniedDirs() []Preopen {
	var out []Preopen
	for _, x := range r.deny.byHead[headOfKind[Dir]] {
		if !x.all && !isPattern(x.grant.target) {
			out = append(out, Preopen{Path: x.grant.target, Write: x.grant.write})
		}
	}
	return out
}

// Variable reports whether a plugin gets a variable of the host's environment: a line about variables names it, and it is granted. The
// word "all" names none.
func (r *Rights) Variable(name string) bool {
	id := headOfKind[Env]
	a := Action{Kind: Env, Name: name}
	names := func(x rule) bool { return x.grant.head != allHead && (x.all || x.includes(id, &a)) }
	for _, set := range []*ruleset{&r.wanted, &r.added, &r.box} {
		if slices.ContainsFunc(set.byHead[id], names) {
			return r.Check(a) == nil
		}
	}
	return false
}

// Denies answers the denial if a line takes an action away, and nil if it is granted or only not granted: what an operator gives on the
// command line needs no grant.
func (r *Rights) Denies(a Action) error {
	var d *Denied
	if err := r.Check(a); errors.As(err, &d) && d.Line != nil && d.Line.Deny {
		return err
	}
	return nil
}

// CheckBox is as [Rights.Check], but does not mind what the manifest asks for.
func (r *Rights) CheckBox(a Action) error {
	var d *Denied
	err := r.Check(a)
	if errors.As(err, &d) && d.Line != nil && !d.Line.Deny {
		return nil
	}
	return err
}

// Granted reports whether a line grants a word of its own, which takes no target, by that word.
func (r *Rights) Granted(word string) bool {
	id, ok := headByName[word]
	if !ok || r.Check(Action{Kind: heads[id].kind}) != nil {
		return false
	}
	own := func(x rule) bool { return x.grant.head == word }
	return slices.ContainsFunc(r.added.byHead[id], own) || slices.ContainsFunc(r.box.byHead[id], own) || slices.ContainsFunc(r.wanted.byHead[id], own)
}

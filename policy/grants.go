package policy

import "slices"

// Word is the word that the grant begins with: "xdp", "tracepoint", "dir".
func (g Grant) Word() string { return g.head }

// Sub is the kind behind the slash of a word: "connect4".
func (g Grant) Sub() string { return g.sub }

// Target is where or what the grant is about, with its wildcards; empty for everywhere.
func (g Grant) Target() string { return g.target }

// Grants lists all of which the plugin may have something: groups as the grants that they stand for, "all" as every word, and local names
// as what they stand for. What is denied in part is there, and so is what the manifest and the box grant in different places: who reads
// the list learns what cannot be needed, not what is allowed. For that ask Check.
func (r *Rights) Grants() []Grant {
	var out []Grant
	for id := range heads {
		if isAll := func(x rule) bool { return x.all }; slices.ContainsFunc(r.deny.byHead[id], isAll) {
			continue
		}
		box := r.box.byHead[id]
		own := slices.ContainsFunc(box, func(x rule) bool { return !x.implied })
		if r.narrow && len(box) > 0 {
			box = r.wanted.byHead[id]
		}
		for _, x := range slices.Concat(r.added.byHead[id], box) {
			g := x.grant
			switch {
			case x.implied && r.narrow && own && x.line.File == manifestSource: // "prog:xdp" of the box for "xdp" of the manifest
				g = Grant{target: x.target.text}
			case x.implied: // the grant itself is there, under its own word
				continue
			case g.head == allHead:
				g = Grant{}
			}
			g.head = heads[id].name
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// Words lists every word that a grant can begin with, but those of groups.
func Words() []string {
	var out []string
	for i := range heads {
		out = append(out, heads[i].name)
	}
	return out
}

package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Line is a grant, or its opposite, with where it stands.
type Line struct {
	Grant Grant
	// Deny says that the line takes away.
	Deny bool
	// File and Number say where the line stands: the file of a policy and the line in it, or a word such as "--allow" and 0.
	File   string
	Number int
}

// Source answers where the line stands: "/etc/bowline/policy.yaml:7".
func (l *Line) Source() string {
	if l.Number == 0 {
		return l.File
	}
	return fmt.Sprintf("%s:%d", l.File, l.Number)
}

// Lines reads the grants that an operator adds on the command line. source says where they stand: "--allow".
func Lines(source string, texts ...string) ([]Line, error) {
	lines := make([]Line, 0, len(texts))
	for _, text := range texts {
		g, err := ParseGrant(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		lines = append(lines, Line{Grant: g, File: source})
	}
	return lines, nil
}

// Everything is the line that grants all there is, for one's own desk and for tests.
func Everything() []Line { return []Line{{Grant: Grant{head: allHead}, File: "--allow"}} }

// rule is a grant that is ready to be compared with actions.
type rule struct {
	line    *Line
	grant   Grant // the line's own, or one of those that its group stands for, with local names resolved
	target  pattern
	symbol  pattern
	all     bool // everywhere
	implied bool // follows from a grant of another kind: a hook's type of program
}

// ruleset are the rules of one part of a policy, by head.
type ruleset struct {
	byHead [len(heads)][]rule
}

// add adds a line, with all that its grant includes. deny are the rules that take away, nil when r itself takes away: a grant brings with
// it the types of programs and maps that its hooks need, but those of a hook that is denied everywhere.
func (r *ruleset) add(l *Line, names Names, deny *ruleset) error {
	if l.Grant.head == allHead {
		for i := range r.byHead {
			r.byHead[i] = append(r.byHead[i], rule{line: l, grant: l.Grant, all: true})
		}
		return nil
	}
	g, err := names.resolve(l.Grant)
	if err != nil {
		return fmt.Errorf("grant %q: %w", l.Grant, err)
	}
	if _, ok := headByName[g.head]; ok {
		r.addGrant(l, g, deny)
		return nil
	}
	for _, text := range groupLines(g.head, g.target) {
		member, err := ParseGrant(text)
		if err != nil {
			return fmt.Errorf("grant %q: %w", l.Grant, err)
		}
		r.addGrant(l, member, deny)
	}
	return nil
}

func (r *ruleset) addGrant(l *Line, g Grant, deny *ruleset) {
	id, ok := headByName[g.head]
	if !ok { // the zero Grant
		return
	}
	h := &heads[id]
	base := rule{line: l, grant: g, all: g.target == "" && g.symbol == "" && g.sub == ""}
	if g.target != "" {
		base.target = newPattern(g.target, h.shape.paths())
	}
	if g.symbol != "" {
		base.symbol = newPattern(g.symbol, false)
	}
	r.byHead[id] = append(r.byHead[id], base)
	for _, other := range h.also {
		also := headByName[other]
		r.byHead[also] = append(r.byHead[also], base)
	}
	if h.kind == Helper {
		r.addHelpers(l, g, deny != nil)
	}
	if deny == nil || slices.ContainsFunc(deny.byHead[id], func(x rule) bool { return x.all }) {
		return
	}
	for _, t := range h.programs {
		r.addName(Load, l, g, t)
	}
	for _, t := range h.maps {
		r.addName(Map, l, g, t)
	}
}

// addHelpers adds those that a helper of the table stands for.
func (r *ruleset) addHelpers(l *Line, g Grant, less bool) {
	i, ok := helperRow[g.target]
	if !ok || i < 0 {
		return
	}
	others := strings.Fields(dangerous[i].with)
	if less {
		others = append(others, strings.Fields(dangerous[i].less)...)
	}
	for _, name := range others {
		r.addName(Helper, l, g, name)
	}
}

// addName adds a rule for a name that a grant of another kind, or of another name, includes. The first such rule is enough.
func (r *ruleset) addName(k Kind, l *Line, g Grant, name string) {
	id := headOfKind[k]
	if !slices.ContainsFunc(r.byHead[id], func(x rule) bool { return x.implied && x.target.text == name }) {
		r.byHead[id] = append(r.byHead[id], rule{line: l, grant: g, target: newPattern(name, false), implied: true})
	}
}

// find answers the first rule that includes all of an action.
func (r *ruleset) find(id headID, a *Action) *rule {
	rules := r.byHead[id]
	for i := range rules {
		if x := &rules[i]; x.all || x.includes(id, a) {
			return x
		}
	}
	return nil
}

func (x *rule) includes(id headID, a *Action) bool {
	if x.implied {
		return x.target.match(a.Name)
	}
	if x.grant.sub != "" && !includesSub(x.grant.sub, a.Sub) {
		return false
	}
	switch heads[id].shape {
	case dirShape:
		return (x.grant.write || !a.Write) && x.includesTree(a.Name)
	case cgroupShape:
		return x.includesTree(a.Name)
	case symbolShape:
		return x.target.match(a.Name) && (!a.anywhere() || x.target.any())
	}
	return x.target.match(a.Name) && x.symbol.match(a.Symbol) && (!a.anywhere() || x.symbol.any())
}

// includesSub reports whether "skb" includes "skb/egress".
func includesSub(granted, asked string) bool {
	return strings.HasPrefix(asked, granted) && (len(asked) == len(granted) || asked[len(granted)] == '/')
}

// includesTree matches a directory, or one above it.
func (x *rule) includesTree(name string) bool {
	if x.target.match(name) || x.target.match("/") {
		return true
	}
	for i := 1; i < len(name); i++ {
		if name[i] == '/' && x.target.match(name[:i]) {
			return true
		}
	}
	return false
}

// touches answers the first rule that includes any part of an action: what is denied must not come in as part of a pattern, of a directory
// above it, or under another name.
func (r *ruleset) touches(id headID, a *Action) *rule {
	rules := r.byHead[id]
	for i := range rules {
		if x := &rules[i]; x.all || x.touches(id, a) {
			return x
		}
	}
	return nil
}

func (x *rule) touches(id headID, a *Action) bool {
	if x.implied {
		return x.target.match(a.Name)
	}
	if sub := x.grant.sub; sub != "" && a.Sub != "" && !includesSub(sub, a.Sub) && !includesSub(a.Sub, sub) {
		return false
	}
	s := heads[id].shape
	switch s {
	case dirShape:
		return (a.Write || !x.grant.write) && (x.includesTree(a.Name) || x.below(a.Name))
	case cgroupShape:
		return x.includesTree(a.Name) || x.below(a.Name)
	case symbolShape:
		return a.anywhere() || x.target.touches(a.Name)
	case binaryShape, usdtShape:
		symbol := a.anywhere() || a.Symbol == "" || x.symbol.touches(a.Symbol)
		return symbol && (x.target.touches(a.Name) || x.mayBe(a.Name))
	}
	return x.target.touches(a.Name) && (a.Symbol == "" || x.symbol.touches(a.Symbol))
}

// below reports whether the rule is about something below a directory.
func (x *rule) below(name string) bool {
	return x.target.kind != anything && overlaps(x.target.text, strings.TrimSuffix(name, "/")+"/**", true)
}

// mayBe reports whether a file may be one of the rule's, where one of them is the bare name of a program or library: "c" and
// "/lib/libc.so.6".
func (x *rule) mayBe(name string) bool {
	i, j := strings.LastIndexByte(x.target.text, '/'), strings.LastIndexByte(name, '/')
	if i >= 0 && j >= 0 || x.target.kind == anything {
		return false
	}
	ours, asked := x.target.text[i+1:], name[j+1:]
	return overlaps(ours, asked, false) || isLibrary(ours, asked) || isLibrary(asked, ours)
}

// isLibrary reports whether a file may be the library that is called by a short name.
func isLibrary(file, short string) bool {
	return overlaps(file, short+".so*", false) || overlaps(file, "lib"+short+".so*", false)
}

package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Grant is one line of a policy: "tracing", "xdp@eth1", "uprobe:/usr/bin/*:readline". It says the same in a policy file, in a manifest,
// on the command line and in the text of a denial. Grants are comparable; equal ones grant the same.
type Grant struct {
	head   string
	sub    string // of cgroup/connect4
	target string // empty for everywhere
	symbol string // of a program or library; the chain of netfilter
	write  bool   // of a directory
}

// maxGrant is the longest text of a grant: a target and the words around it.
const maxGrant = maxPattern + 128

// ParseGrant reads the text of a grant. The error says what is wrong with it and, where it can, what was meant.
func ParseGrant(text string) (Grant, error) {
	g, err := parseGrant(text)
	if err != nil {
		return Grant{}, fmt.Errorf("grant %q: %w", short(text), err)
	}
	return g, nil
}

func parseGrant(text string) (Grant, error) {
	switch {
	case text == "":
		return Grant{}, fmt.Errorf("empty; for example %q", "xdp@eth1")
	case len(text) > maxGrant:
		return Grant{}, fmt.Errorf("%d bytes, more than %d", len(text), maxGrant)
	case text != strings.TrimSpace(text):
		return Grant{}, fmt.Errorf("has spaces around it")
	}
	if err := checkText(text); err != nil {
		return Grant{}, err
	}
	word, sep, target := text, "", ""
	if i := strings.IndexAny(text, "@:"); i >= 0 {
		word, sep, target = text[:i], text[i:i+1], text[i+1:]
		if target == "" {
			return Grant{}, fmt.Errorf("nothing behind the %q; leave both out to grant it everywhere", sep)
		}
	}
	if word == allHead || isGroup(word) {
		return parseGroup(word, sep, target)
	}
	word, sub, hasSub := strings.Cut(word, "/")
	id, ok := headByName[word]
	if !ok {
		return Grant{}, unknownHead(word)
	}
	h := &heads[id]
	g := Grant{head: word, sub: sub}
	if hasSub && !subOf(h.subs, sub) {
		return Grant{}, fmt.Errorf("there is no %s/%s%s", word, sub, closest(sub, strings.Fields(h.subs)))
	}
	if sep == "" {
		if h.needsTarget {
			return Grant{}, fmt.Errorf("say which, for example %q", word+h.example())
		}
		return g, nil
	}
	if err := checkSeparator(h, sep); err != nil {
		return Grant{}, err
	}
	return g, g.parseTarget(h, target)
}

// checkText refuses what has no place in a line for people.
func checkText(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("is not UTF-8")
	}
	for _, r := range text {
		if !printable(r) {
			return fmt.Errorf("has the character %U, which cannot be seen", r)
		}
	}
	return nil
}

func printable(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }

func parseGroup(word, sep, target string) (Grant, error) {
	switch {
	case sep == "":
	case word != "net-forward":
		return Grant{}, fmt.Errorf("%s takes no target", word)
	case sep != "@":
		return Grant{}, fmt.Errorf("an interface stands behind a %q", "@")
	default:
		if err := checkInterface(target); err != nil {
			return Grant{}, err
		}
	}
	return Grant{head: word, target: target}, nil
}

func unknownHead(word string) error {
	if instead, ok := neverAttached[word]; ok {
		return fmt.Errorf("%s programs are not attached by a plugin; to load and run them grant %q", word, instead)
	}
	names := []string{allHead}
	for _, g := range groups {
		names = append(names, g.name)
	}
	for i := range heads {
		names = append(names, heads[i].name)
	}
	return fmt.Errorf("there is no grant %q%s", short(word), closest(word, names))
}

// subOf reports whether list has a kind.
func subOf(list, sub string) bool {
	return list == "*" && sub != "" && !strings.ContainsAny(sub, "*?/") || slices.Contains(strings.Fields(list), sub)
}

func (h *head) example() string {
	switch h.kind {
	case Helper:
		return ":bpf_probe_read_user"
	case Load:
		return ":xdp"
	case Map:
		return ":devmap"
	case Kfunc:
		return ":bpf_rdonly_cast"
	}
	return h.shape.example()
}

func checkSeparator(h *head, sep string) error {
	want := ":"
	switch h.shape {
	case noTarget:
		return fmt.Errorf("%s takes no target", h.name)
	case ifaceShape, netnsShape:
		want = "@"
	}
	if sep != want {
		return fmt.Errorf("the target of %s stands behind a %q: %q", h.name, want, h.name+h.example())
	}
	return nil
}

func (g *Grant) parseTarget(h *head, t string) error {
	g.target = t
	switch h.shape {
	case ifaceShape:
		return checkInterface(t)
	case symbolShape:
		return checkSymbol(h, t)
	case eventShape:
		if strings.Count(t, "/") != 1 || t[0] == '/' || t[len(t)-1] == '/' {
			return fmt.Errorf("a tracepoint is category/name: %q", "tracepoint:sched/*")
		}
	case netfilterShape:
		g.target, g.symbol, _ = strings.Cut(t, "/")
		if g.target == "" || strings.HasSuffix(t, "/") || strings.Contains(g.symbol, "/") {
			return fmt.Errorf("a place of netfilter is family/chain: %q", "netfilter:ipv4/forward")
		}
	case dirShape:
		if rest, ok := strings.CutSuffix(t, ":rw"); ok {
			g.target, g.write = rest, true
		} else {
			g.target = strings.TrimSuffix(t, ":ro")
		}
	case binaryShape:
		if g.splitSymbol(1); strings.HasSuffix(t, ":") {
			return fmt.Errorf("nothing behind the last %q; leave it out for all functions", ":")
		}
	case usdtShape:
		g.splitSymbol(2)
		if n := strings.Count(t, ":"); n == 1 || n > 1 && (g.symbol != "" && g.symbol[0] == ':' || t[len(t)-1] == ':') {
			return fmt.Errorf("a place of usdt is file:provider:name: %q", "usdt"+usdtShape.example())
		}
	}
	if h.shape.paths() && h.shape != eventShape {
		return g.checkPath(h)
	}
	return checkPattern(g.target)
}

// splitSymbol takes what stands behind the last n colons off the target. A symbol that leaves all open is none, but where the file's
// name has a colon and it is needed to tell.
func (g *Grant) splitSymbol(n int) {
	i := len(g.target)
	for range n {
		if i = strings.LastIndexByte(g.target[:i], ':'); i < 0 {
			return
		}
	}
	file, symbol := g.target[:i], g.target[i+1:]
	g.target, g.symbol = file, symbol
	if symbol == strings.Repeat(":*", n)[1:] {
		g.symbol = ""
	}
}

func checkInterface(name string) error {
	if strings.ContainsAny(name, "/: ") || len(name) > 64 {
		return fmt.Errorf("%q is no name of an interface", short(name))
	}
	return checkPattern(name)
}

func checkSymbol(h *head, t string) error {
	if strings.ContainsAny(t, " ,") {
		return fmt.Errorf("a name has no spaces and commas; each needs a line of its own")
	}
	if h.exact && isPattern(t) || h.kind == Kfunc && isPattern(t) {
		return fmt.Errorf("each has to be named, without %q", "*")
	}
	switch h.kind {
	case Helper:
		if _, ok := helperRow[t]; !ok && !isNumber(t) {
			return fmt.Errorf("there is no helper %s%s", short(t), closest(t, keys(helperRow)))
		}
	case Map:
		if !ownMaps[t] && !isPattern(t) && !slices.Contains(reachingMaps, t) {
			return fmt.Errorf("there is no type of map %s%s", short(t), closest(t, append(keys(ownMaps), reachingMaps...)))
		}
	case Load:
		if !isPattern(t) && !slices.Contains(programTypes, t) {
			return fmt.Errorf("there is no type of program %s%s", short(t), closest(t, programTypes))
		}
	}
	return checkPattern(t)
}

// isNumber reports whether t is "#212", a helper that has no name here.
func isNumber(t string) bool {
	n, ok := strings.CutPrefix(t, "#")
	v, err := strconv.ParseUint(n, 10, 32)
	return ok && err == nil && strconv.FormatUint(v, 10) == n
}

func checkPattern(t string) error {
	if t == "" {
		return fmt.Errorf("a part of the target is empty")
	}
	if len(t) > maxPattern {
		return fmt.Errorf("a target of %d bytes, more than %d", len(t), maxPattern)
	}
	return nil
}

// checkPath refuses paths that are not as the kernel would say them. One that does not begin with a slash begins with a local name, or
// is the bare name of a program or library.
func (g *Grant) checkPath(h *head) error {
	if err := checkPattern(g.target); err != nil {
		return err
	}
	if h.shape == binaryShape && strings.Contains(g.symbol, ",") {
		return fmt.Errorf("a function has no commas; each needs a line of its own")
	}
	if len(g.symbol) > maxPattern {
		return fmt.Errorf("a symbol of %d bytes, more than %d", len(g.symbol), maxPattern)
	}
	if h.shape == cgroupShape && g.target[0] == '/' {
		g.target = CgroupPath(g.target)
	}
	if h.shape == netnsShape && g.target == "." {
		return nil
	}
	bare := (h.shape == binaryShape || h.shape == usdtShape) && (strings.HasPrefix(g.target, "**") || !strings.Contains(g.target, "/"))
	if strings.IndexByte("*?", g.target[0]) >= 0 && !bare {
		return fmt.Errorf("a path begins with a slash: %q", "/"+g.target)
	}
	if !cleanPath(g.target) {
		return fmt.Errorf("path %q has empty parts, \".\" or \"..\"", short(g.target))
	}
	return nil
}

// cleanPath reports whether no part of a path is empty, "." or "..", but the one before its first slash.
func cleanPath(p string) bool {
	if p == "/" {
		return true
	}
	for i := 0; i <= len(p); i++ { // i is where a part begins
		n := strings.IndexByte(p[i:], '/')
		if n < 0 {
			n = len(p) - i
		}
		part := p[i : i+n]
		if part == "" && i > 0 || part == "." || part == ".." {
			return false
		}
		i += n
	}
	return p != ""
}

// String answers the text of the grant, which ParseGrant reads as the same grant.
func (g Grant) String() string {
	var b strings.Builder
	b.WriteString(g.head)
	if g.sub != "" {
		b.WriteString("/" + g.sub)
	}
	if g.target == "" {
		return b.String()
	}
	s := noTarget
	if id, ok := headByName[g.head]; ok {
		s = heads[id].shape
	}
	switch s {
	case noTarget, ifaceShape, netnsShape: // noTarget: a group
		b.WriteString("@" + g.target)
	case netfilterShape:
		b.WriteString(":" + g.target)
		if g.symbol != "" {
			b.WriteString("/" + g.symbol)
		}
	default:
		b.WriteString(":" + g.target)
		g.writeRest(&b, s)
	}
	return b.String()
}

func (g *Grant) writeRest(b *strings.Builder, s shape) {
	colon := strings.Contains(g.target, ":")
	switch {
	case g.symbol != "":
		b.WriteString(":" + g.symbol)
	case s == binaryShape && colon:
		b.WriteString(":*")
	case s == usdtShape && colon:
		b.WriteString(":*:*")
	case g.write:
		b.WriteString(":rw")
	case s == dirShape && colon:
		b.WriteString(":ro")
	}
}

// Doc answers in words what the grant allows, without its target: what a list of grants shows beside each.
func (g Grant) Doc() string {
	for i := range groups {
		if groups[i].name == g.head {
			return groups[i].doc
		}
	}
	id, ok := headByName[g.head]
	switch {
	case g.head == allHead:
		return "everything"
	case !ok:
		return ""
	case heads[id].kind == Helper:
		if i, ok := helperRow[g.target]; ok && i >= 0 {
			return dangerous[i].reason
		}
	}
	return heads[id].doc
}

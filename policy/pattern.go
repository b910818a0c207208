package policy

import (
	"math/bits"
	"strings"
)

// maxPattern is the longest target of a grant, in bytes; it bounds the work of one match.
const maxPattern = 512

// pattern matches names. In it "*" stands for any number of bytes and "?" for one. With paths set neither stands for a "/", and
// "**" stands for any number of bytes with "/".
//
// The name that it is compared with may have wildcards itself: then it matches if every name that those could stand for matches. So
// one function answers for "tcp_sendmsg", for a probe at "tcp_s*", and for the question whether one grant includes another.
type pattern struct {
	text  string
	paths bool
	kind  patternKind
	lit   string // without the "*" at the end, when kind is literal or prefix
}

type patternKind uint8

const (
	anything patternKind = iota // the zero pattern
	literal
	prefix // a literal and one "*" behind it
	glob
)

func newPattern(text string, paths bool) pattern {
	p := pattern{text: text, paths: paths, kind: glob}
	switch i := strings.IndexAny(text, "*?"); {
	case i < 0:
		p.kind, p.lit = literal, text
	case i == len(text)-1 && text[i] == '*':
		p.kind, p.lit = prefix, text[:i]
	case i == len(text)-2 && text[i:] == "**":
		p.kind, p.lit, p.paths = prefix, text[:i], false
	}
	return p
}

// match reports whether the pattern includes a name.
func (p *pattern) match(name string) bool {
	switch p.kind {
	case anything:
		return true
	case literal:
		return name == p.lit
	case prefix:
		if !strings.HasPrefix(name, p.lit) {
			return false
		}
		rest := name[len(p.lit):]
		return !p.paths || strings.IndexByte(rest, '/') < 0 && !strings.Contains(rest, "**")
	}
	return globMatch(p.text, name, p.paths)
}

// star reports whether a wildcard for many bytes begins at text[i], and how long it is.
func star(text string, i int, paths bool) (n int, crosses bool) {
	if i >= len(text) || text[i] != '*' {
		return 0, false
	}
	n = 1
	for i+n < len(text) && text[i+n] == '*' {
		n++
	}
	return n, !paths || n > 1
}

// states is a set of places in a pattern.
type states [maxPattern/64 + 1]uint64

// add adds the place i and those that are reached from it because a wildcard may stand for nothing.
func (s *states) add(text string, i int, paths bool) {
	s[i/64] |= 1 << (i % 64)
	if n, _ := star(text, i, paths); n > 0 {
		s[(i+n)/64] |= 1 << ((i + n) % 64)
	}
}

// globMatch follows all ways through the pattern at once, byte by byte: the work is at most len(text) * len(name), and no memory.
func globMatch(text, name string, paths bool) bool {
	if len(text) > maxPattern {
		return false
	}
	var now, next states
	now.add(text, 0, paths)
	for k := range len(name) {
		c := name[k]
		many := paths && c == '*' && (k > 0 && name[k-1] == '*' || k+1 < len(name) && name[k+1] == '*')
		next = states{}
		alive := false
		for w, word := range now {
			for ; word != 0; word &= word - 1 {
				i := w*64 + bits.TrailingZeros64(word)
				if i == len(text) {
					continue
				}
				n, crosses := star(text, i, paths)
				switch {
				case n > 0:
					if !crosses && (c == '/' || many) {
						continue
					}
					next.add(text, i, paths)
				case text[i] == '?' && c != '*' && !(paths && c == '/'), text[i] == c && c != '*':
					next.add(text, i+1, paths)
				default:
					continue
				}
				alive = true
			}
		}
		if !alive {
			return false
		}
		now = next
	}
	return now[len(text)/64]&(1<<(len(text)%64)) != 0
}

// overlaps reports whether a name exists that both patterns match, each of which may be a plain name. It says yes when in doubt: it is
// asked for what is denied. The work is at most len(a) * len(b).
func overlaps(a, b string, paths bool) bool {
	if len(a) > maxName || len(b) > maxName {
		return true
	}
	type wild struct {
		n       int
		crosses bool
	}
	starsB := make([]wild, len(b)+1)
	for j := range b {
		if n, crosses := star(b, j, paths); n > 0 {
			starsB[j] = wild{n, crosses}
		}
	}
	row := make([]bool, len(b)+1) // row[j]: the rest of a from i on and the rest of b from j on overlap
	below := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		row, below = below, row
		na, crossA := star(a, i, paths)
		for j := len(b); j >= 0; j-- {
			nb, crossB := starsB[j].n, starsB[j].crosses
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case na > 0 && nb > 0:
				row[j] = below[j] || row[j+1]
			case na > 0: // the wildcard stands for nothing more, or for b[j]
				row[j] = below[j] || j < len(b) && (crossA || b[j] != '/') && row[j+1]
			case nb > 0:
				row[j] = row[j+1] || i < len(a) && (crossB || a[i] != '/') && below[j]
			case i == len(a) || j == len(b):
				row[j] = false
			default:
				row[j] = below[j+1] && oneOverlaps(a[i], b[j], paths)
			}
		}
	}
	return row[0]
}

func oneOverlaps(a, b byte, paths bool) bool {
	switch {
	case a == b:
		return true
	case a == '?':
		return !paths || b != '/'
	case b == '?':
		return !paths || a != '/'
	}
	return false
}

func isPattern(s string) bool {
	return strings.IndexByte(s, '*') >= 0 || strings.IndexByte(s, '?') >= 0
}

// any reports whether the pattern leaves everything open.
func (p *pattern) any() bool {
	return p.kind == anything || p.kind == prefix && p.lit == "" && !p.paths
}

// touches reports whether the pattern includes a name, or one of those that the name's own wildcards may stand for.
func (p *pattern) touches(name string) bool {
	return p.match(name) || isPattern(name) && overlaps(p.text, name, p.paths)
}

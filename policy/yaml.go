package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// node is a place in a YAML document, with what errors need to name it.
type node struct {
	*yaml.Node
	file string
}

// errorf is an error at a line of the file.
func (n node) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", n.file, n.Line, fmt.Errorf(format, args...))
}

// maxNodes bounds what a document of many tiny parts takes, maxDepth how deep they may lie in each other: ours need five.
const (
	maxNodes    = 1 << 16
	maxDepth    = 16
	maxBrackets = 64
)

// parseYAML reads one document, which has to be plain: no anchors, aliases or types of its own. An empty document is an empty mapping.
func parseYAML(data []byte, file string, most int) (n node, err error) {
	if len(data) > most {
		return n, fmt.Errorf("%s: %d bytes, more than %d", file, len(data), most)
	}
	defer func() { // the last net under the parser
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: cannot be read as YAML (%v)", file, r)
		}
	}()
	if deep(data) {
		return n, fmt.Errorf("%s: brackets more than %d deep", file, maxBrackets)
	}
	content, err := onlyDocument(data)
	if err != nil {
		return n, fmt.Errorf("%s: %w", file, err)
	}
	n = node{content, file}
	left := maxNodes
	if err := n.checkPlain(0, &left); err != nil {
		return n, err
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return node{&yaml.Node{Kind: yaml.MappingNode, Line: 1}, file}, nil
	}
	return n, nil
}

// onlyDocument answers the content of a file.
func onlyDocument(data []byte) (*yaml.Node, error) {
	if isJSON(data) {
		return parseJSON(data)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, nil
	case err != nil:
		return nil, plainError(err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one document; what comes behind a line of %q would not count", "---")
	}
	return doc.Content[0], nil
}

// deep reports whether brackets lie too deep in each other, before the parser, which takes the square of the depth, sees them. Brackets
// in texts count, too; no line of ours has that many.
func deep(data []byte) bool {
	depth := 0
	for _, c := range data {
		switch c {
		case '[', '{':
			if depth++; depth > maxBrackets {
				return true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return false
}

// plainError takes the parser's own name off its errors, which have the line.
func plainError(err error) error {
	return errors.New(strings.TrimPrefix(short(err.Error()), "yaml: "))
}

func (n node) checkPlain(depth int, left *int) error {
	if *left--; *left < 0 {
		return n.errorf("more than %d parts", maxNodes)
	}
	switch {
	case depth > maxDepth:
		return n.errorf("lies more than %d deep", maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return n.errorf("anchors and aliases are not taken; write it out")
	case n.Style&yaml.TaggedStyle != 0:
		return n.errorf("the type %q is not taken", short(n.Tag))
	}
	for _, c := range n.Content {
		if err := (node{c, n.file}).checkPlain(depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

// fields calls take with each field of a mapping. Fields that are not in names, and those that come twice, are errors.
func (n node) fields(what string, names []string, take func(name string, value node) error) error {
	if n.Kind != yaml.MappingNode {
		return n.errorf("%s has to be fields: %q", what, names[0]+": ...")
	}
	seen := map[string]bool{}
	return n.each(func(key, value node) error {
		name := key.Value
		if !slices.Contains(names, name) {
			return key.errorf("%s has no field %q%s", what, short(name), closest(name, names))
		}
		if seen[name] {
			return key.errorf("field %q comes twice", name)
		}
		seen[name] = true
		return take(name, value)
	})
}

// each calls take with each key of a mapping, which have to be texts.
func (n node) each(take func(key, value node) error) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := node{n.Content[i], n.file}, node{n.Content[i+1], n.file}
		if key.Kind != yaml.ScalarNode {
			return key.errorf("a name has to be a plain word")
		}
		if err := take(key, value); err != nil {
			return err
		}
	}
	return nil
}

// mapping checks that a value is one; nothing at all is an empty one.
func (n node) mapping(what string) error {
	if n.empty() || n.Kind == yaml.MappingNode {
		return nil
	}
	return n.errorf("%s has to be names with values: %q", what, "name: value")
}

// empty reports whether there is nothing behind a field.
func (n node) empty() bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// list calls take with each part of a list; nothing at all is an empty one.
func (n node) list(what string, most int, take func(node) error) error {
	if n.empty() {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return n.errorf("%s has to be a list: each on a line with %q before it", what, "- ")
	}
	if len(n.Content) > most {
		return n.errorf("%s: %d, more than %d", what, len(n.Content), most)
	}
	for _, c := range n.Content {
		if err := take(node{c, n.file}); err != nil {
			return err
		}
	}
	return nil
}

// text answers a text of at most so many bytes, on one line.
func (n node) text(what string, most int) (string, error) {
	if n.Kind != yaml.ScalarNode || n.empty() {
		return "", n.errorf("%s has to be a text", what)
	}
	if len(n.Value) > most {
		return "", n.errorf("%s: %d bytes, more than %d", what, len(n.Value), most)
	}
	if err := checkText(n.Value); err != nil {
		return "", n.errorf("%s: %w", what, err)
	}
	return n.Value, nil
}

func (n node) boolean(what string) (bool, error) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		return false, n.errorf("%s is true or false", what)
	}
	return strings.EqualFold(n.Value, "true"), nil
}

// limits reads a mapping of limits.
func (n node) limits() (Limits, error) {
	var l Limits
	if n.empty() {
		return l, nil
	}
	err := n.fields("limits", limitNames(), func(name string, value node) error {
		text, err := value.text(name, 64)
		if err != nil {
			return err
		}
		if err := l.Set(name, text); err != nil {
			return value.errorf("%w", err)
		}
		return nil
	})
	return l, err
}

// grant reads one grant.
func (n node) grant() (Grant, error) {
	if n.Kind == yaml.MappingNode {
		return Grant{}, n.errorf("a grant has to be a text; put quotes around it if it has %q in it", ": ")
	}
	text, err := n.text("a grant", maxGrant)
	if err != nil {
		return Grant{}, err
	}
	g, err := ParseGrant(text)
	if err != nil {
		return Grant{}, n.errorf("%w", err)
	}
	return g, nil
}

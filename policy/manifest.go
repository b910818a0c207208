package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ManifestSection is the name of the custom section of a plugin that holds its manifest.
const ManifestSection = "bowline.manifest"

// Manifest is what a plugin says about itself: what it needs and why, which parameters it takes, and what the columns of its events are. It
// is the plugin's word, no more: it narrows what the box's policy grants, and adds nothing.
type Manifest struct {
	// Name, Version and Description are for people.
	Name, Version, Description string
	// Needs are the grants that it asks for.
	Needs []Need
	// Params are its parameters.
	Params []Param
	// Columns are the fields of its events.
	Columns []Column
	// Limits are what it wishes; more than the box gives does not count.
	Limits Limits
}

// Need is a grant that a plugin asks for.
type Need struct {
	Grant Grant
	// Why is a sentence for the operator.
	Why string
}

// Param is a parameter of a plugin.
type Param struct {
	// Name is lower-case words with dashes between them: "min-duration".
	Name string
	// Type is one of ParamTypes.
	Type string
	// Default is the value when none is given, as text that is right for the type. HasDefault says that there is one; without it the parameter
	// has to be given.
	Default    string
	HasDefault bool
	Help       string
}

// ParamTypes are the types of parameters.
func ParamTypes() []string {
	return []string{"string", "bool", "int", "uint", "float", "duration", "size", "interface", "cgroup", "path"}
}

// Column is a field of a plugin's events.
type Column struct {
	Name string
	// Width is in characters; zero means as wide as the name or the value needs.
	Width int
	// Unit stands behind the name: "ms", "B".
	Unit string
	// Hidden columns are shown when they are asked for.
	Hidden bool
	// Format is one of ColumnFormats. Empty means by the field's type.
	Format string
}

// ColumnFormats are the ways to show a value.
func ColumnFormats() []string {
	return []string{"dec", "hex", "oct", "char", "string", "bool", "ip", "mac", "port", "time", "duration", "size", "percent", "stack",
		"symbol", "user", "errno", "signal", "syscall"}
}

// Bounds of manifests.
const (
	maxManifest = 64 << 10
	maxNeeds    = 256
	maxParams   = 64
	maxColumns  = 128
	maxWhy      = 512
	maxWidth    = 1024
)

// ParseManifest reads the content of the section: YAML or JSON, with no unknown fields. Whatever the bytes are, it answers a manifest within
// its bounds, whose texts are safe to print, or an error with the line.
func ParseManifest(data []byte) (*Manifest, error) {
	root, err := parseYAML(data, manifestSource, maxManifest)
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	names := []string{"format", "name", "version", "description", "needs", "params", "columns", "limits"}
	err = root.fields("a manifest", names, func(name string, value node) (err error) {
		switch name {
		case "format":
			if value.Value != "1" {
				return value.errorf("format %s of manifests is not known; this is for format 1", short(value.Value))
			}
		case "name":
			m.Name, err = value.word("name", wordChars)
		case "version":
			m.Version, err = value.text("version", 64)
		case "description":
			m.Description, err = value.text("description", maxWhy)
		case "needs":
			err = value.list("needs", maxNeeds, m.addNeed)
		case "params":
			err = value.list("params", maxParams, m.addParam)
		case "columns":
			err = value.list("columns", maxColumns, m.addColumn)
		case "limits":
			m.Limits, err = value.limits()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// word reads a name of at most 64 of the given characters.
func (n node) word(what, of string) (string, error) {
	s, err := n.text(what, 64)
	if err == nil && (s == "" || strings.Trim(s, of) != "" || s[0] == '-' || s[0] == '.') {
		err = n.errorf("%s %q: only letters, digits and %q, no dash or dot first", what, short(s), strings.TrimLeft(of, wordChars[:62]))
	}
	return s, err
}

func (m *Manifest) addNeed(n node) error {
	var need Need
	has := false
	err := n.fields("a need", []string{"grant", "why"}, func(name string, value node) (err error) {
		switch name {
		case "grant":
			has = true
			need.Grant, err = value.grant()
		case "why":
			need.Why, err = value.text("why", maxWhy)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !has:
		return n.errorf("a need has a %q", "grant")
	case need.Why == "":
		return n.errorf("grant %q: say why, in a field %q", need.Grant, "why")
	case need.Grant.head == allHead:
		return n.errorf("grant %q: a plugin says what it needs", allHead)
	}
	for _, other := range m.Needs {
		if other.Grant == need.Grant {
			return n.errorf("grant %q comes twice", need.Grant)
		}
	}
	m.Needs = append(m.Needs, need)
	return nil
}

const paramChars = "abcdefghijklmnopqrstuvwxyz0123456789-"

func (m *Manifest) addParam(n node) error {
	p := Param{Type: "string"}
	err := n.fields("a parameter", []string{"name", "type", "default", "help"}, func(name string, value node) (err error) {
		switch name {
		case "name":
			p.Name, err = value.word("name of a parameter", paramChars)
		case "type":
			p.Type, err = value.oneOf("type", ParamTypes())
		case "default":
			p.HasDefault = true
			p.Default, err = value.text("default", maxPattern)
		case "help":
			p.Help, err = value.text("help", maxWhy)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case p.Name == "":
		return n.errorf("a parameter has a %q", "name")
	}
	if p.HasDefault {
		if err := p.Check(p.Default); err != nil {
			return n.errorf("default of %w", err)
		}
	}
	for _, other := range m.Params {
		if other.Name == p.Name {
			return n.errorf("parameter %q comes twice", p.Name)
		}
	}
	m.Params = append(m.Params, p)
	return nil
}

// Check answers what is wrong with a value for the parameter, nil if nothing is.
func (p *Param) Check(value string) error {
	var err error
	switch p.Type {
	case "bool":
		if value != "true" && value != "false" {
			err = fmt.Errorf("%q is neither %q nor %q", short(value), "true", "false")
		}
	case "int":
		_, err = strconv.ParseInt(value, 0, 64)
	case "uint":
		_, err = strconv.ParseUint(value, 0, 64)
	case "float":
		_, err = strconv.ParseFloat(value, 64)
	case "duration":
		_, err = (&limit{unit: timeUnit}).parseUnit(value)
	case "size":
		_, err = parseSize(value)
	case "interface":
		err = checkInterface(value)
	}
	if err != nil {
		return fmt.Errorf("parameter %s: %q is no %s", p.Name, short(value), p.Type)
	}
	return nil
}

func (n node) oneOf(what string, names []string) (string, error) {
	s, err := n.text(what, 64)
	if err == nil && !slices.Contains(names, s) {
		err = n.errorf("there is no %s %q%s", what, short(s), closest(s, names))
	}
	return s, err
}

func (m *Manifest) addColumn(n node) error {
	var c Column
	err := n.fields("a column", []string{"name", "width", "unit", "hidden", "format"}, func(name string, value node) (err error) {
		switch name {
		case "name":
			c.Name, err = value.word("name of a column", wordChars)
		case "width":
			c.Width, err = strconv.Atoi(value.Value)
			if err != nil || c.Width < 0 || c.Width > maxWidth {
				return value.errorf("width is a number from 0 to %d", maxWidth)
			}
		case "unit":
			c.Unit, err = value.text("unit", 16)
		case "hidden":
			c.Hidden, err = value.boolean("hidden")
		case "format":
			c.Format, err = value.oneOf("format", ColumnFormats())
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case c.Name == "":
		return n.errorf("a column has a %q", "name")
	}
	for _, other := range m.Columns {
		if other.Name == c.Name {
			return n.errorf("column %q comes twice", c.Name)
		}
	}
	m.Columns = append(m.Columns, c)
	return nil
}

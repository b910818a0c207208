package policy

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Policy is what a box grants to plugins: the content of a policy file. The zero Policy grants nothing but standard input and output, the
// clock and random numbers.
type Policy struct {
	// Names are the box's local names, in every grant.
	Names Names
	// Allow are the grants for every plugin, Deny what none gets, whoever grants it.
	Allow, Deny []Line
	// Limits are for each plugin.
	Limits Limits
	// Plugins are the sections for single plugins, by name or by "sha256:" and the digest of the file.
	Plugins map[string]Section
}

// Section is the part of a policy about one plugin.
type Section struct {
	// Allow and Deny add to those of the whole policy.
	Allow, Deny []Line
	// Replace says that Allow is in place of the policy's; what the policy denies stays denied.
	Replace bool
	// Limits are in place of the policy's, each that is set.
	Limits Limits
}

// Version is the version of policy files that this package reads.
const Version = 1

// Bounds of policy files.
const (
	maxPolicy  = 1 << 20
	maxLines   = 4096 // in the whole file
	maxPlugins = 1024
)

var policyFields = []string{"version", "names", "allow", "deny", "limits", "plugins"}

// Parse reads a policy file. file is its name, for errors and for what Explain answers. Errors name the line, and of a wrong word the right one.
func Parse(data []byte, file string) (*Policy, error) {
	root, err := parseYAML(data, file, maxPolicy)
	if err != nil {
		return nil, err
	}
	p := &Policy{}
	version := false
	err = root.fields("a policy", policyFields, func(name string, value node) (err error) {
		switch name {
		case "version":
			version = true
			if value.Value != strconv.Itoa(Version) {
				return value.errorf("version %s of policies is not known; this is for version %d", short(value.Value), Version)
			}
		case "names":
			p.Names, err = value.names()
		case "allow":
			p.Allow, err = value.lines("allow")
		case "deny":
			p.Deny, err = value.lines("deny")
		case "limits":
			p.Limits, err = value.limits()
		case "plugins":
			p.Plugins, err = value.plugins()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !version {
		return nil, root.errorf("no version; a policy begins with the line %q", "version: "+strconv.Itoa(Version))
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// check compiles all of it once, so that what is wrong with a line is known when the policy is read.
func (p *Policy) check() error {
	if _, err := Effective(p, Plugin{}, nil); err != nil {
		return err
	}
	n := len(p.Allow) + len(p.Deny)
	for _, name := range keys(p.Plugins) {
		s := p.Plugins[name]
		if n += len(s.Allow) + len(s.Deny); n > maxLines {
			return fmt.Errorf("more than %d grants in one policy", maxLines)
		}
		plugin := Plugin{Name: name}
		if digest, ok := strings.CutPrefix(name, digestPrefix); ok {
			plugin = Plugin{Digest: digest}
		}
		if _, err := Effective(&Policy{Names: p.Names, Plugins: p.Plugins}, plugin, nil); err != nil {
			return err
		}
	}
	return nil
}

func (n node) names() (Names, error) {
	if err := n.mapping("names"); err != nil {
		return nil, err
	}
	if len(n.Content)/2 > maxNames {
		return nil, n.errorf("names: more than %d", maxNames)
	}
	names := Names{}
	return names, n.each(func(key, value node) error {
		text, err := value.text("the value of a name", maxPattern)
		if err != nil {
			return err
		}
		if _, twice := names[key.Value]; twice {
			return key.errorf("local name %q comes twice", short(key.Value))
		}
		if err := names.check(key.Value, text); err != nil {
			return key.errorf("%w", err)
		}
		names[key.Value] = text
		return nil
	})
}

func (n node) lines(what string) ([]Line, error) {
	var lines []Line
	err := n.list(what, maxLines, func(part node) error {
		g, err := part.grant()
		if err != nil {
			return err
		}
		lines = append(lines, Line{Grant: g, Deny: what == "deny", File: n.file, Number: part.Line})
		return nil
	})
	return lines, err
}

func (n node) plugins() (map[string]Section, error) {
	if err := n.mapping("plugins"); err != nil {
		return nil, err
	}
	if len(n.Content)/2 > maxPlugins {
		return nil, n.errorf("plugins: more than %d", maxPlugins)
	}
	sections := map[string]Section{}
	return sections, n.each(func(key, value node) error {
		name := key.Value
		if _, twice := sections[name]; twice {
			return key.errorf("plugin %q comes twice", short(name))
		}
		if err := checkPluginName(key); err != nil {
			return err
		}
		s, err := value.section()
		sections[name] = s
		return err
	})
}

const digestPrefix = "sha256:"

func checkPluginName(key node) error {
	if digest, ok := strings.CutPrefix(key.Value, digestPrefix); ok {
		if b, err := hex.DecodeString(digest); err != nil || len(b) != 32 || digest != strings.ToLower(digest) {
			return key.errorf("plugin %q: a digest is %q and 64 lower-case hexadecimal digits", short(key.Value), digestPrefix)
		}
		return nil
	}
	if key.Value == "" {
		return key.errorf("a plugin has a name")
	}
	_, err := key.text("name of a plugin", 256)
	return err
}

func (n node) section() (Section, error) {
	var s Section
	if n.empty() {
		return s, nil
	}
	err := n.fields("the section of a plugin", []string{"allow", "deny", "replace", "limits"}, func(name string, value node) (err error) {
		switch name {
		case "allow":
			s.Allow, err = value.lines("allow")
		case "deny":
			s.Deny, err = value.lines("deny")
		case "replace":
			s.Replace, err = value.boolean("replace")
		case "limits":
			s.Limits, err = value.limits()
		}
		return err
	})
	return s, err
}

// section answers the part of the policy about a plugin: by its digest, else by its name.
func (p *Policy) section(of Plugin) Section {
	if s, ok := p.Plugins[digestPrefix+strings.ToLower(of.Digest)]; ok && of.Digest != "" {
		return s
	}
	if strings.HasPrefix(of.Name, digestPrefix) { // no name can be taken for a digest
		return Section{}
	}
	return p.Plugins[of.Name]
}

// Format answers the policy as text, which [Parse] reads as the same policy, but for the numbers of lines.
func (p *Policy) Format() []byte {
	var b strings.Builder
	b.WriteString("version: " + strconv.Itoa(Version) + "\n")
	if len(p.Names) > 0 {
		b.WriteString("names:\n")
		for _, name := range keys(p.Names) {
			b.WriteString("  " + quote(name) + ": " + quote(p.Names[name]) + "\n")
		}
	}
	formatPart(&b, "", p.Allow, p.Deny, p.Limits)
	if len(p.Plugins) > 0 {
		b.WriteString("plugins:\n")
	}
	for _, name := range keys(p.Plugins) {
		s := p.Plugins[name]
		b.WriteString("  " + quote(name) + ":\n")
		if s.Replace {
			b.WriteString("    replace: true\n")
		}
		formatPart(&b, "    ", s.Allow, s.Deny, s.Limits)
	}
	return []byte(b.String())
}

func formatPart(b *strings.Builder, indent string, allow, deny []Line, limits Limits) {
	for _, part := range []struct {
		name  string
		lines []Line
	}{{"allow", allow}, {"deny", deny}} {
		if len(part.lines) == 0 {
			continue
		}
		b.WriteString(indent + part.name + ":\n")
		for _, l := range part.lines {
			b.WriteString(indent + "  - " + quote(l.Grant.String()) + "\n")
		}
	}
	if set := limits.Text(); len(set) > 0 {
		b.WriteString(indent + "limits:\n")
		for _, kv := range set {
			b.WriteString(indent + "  " + kv[0] + ": " + kv[1] + "\n")
		}
	}
}

// quote puts quotes around a text that YAML would read as something else.
func quote(s string) string {
	plain := s != "" && strings.Trim(s, wordChars+"/@:*#") == "" && strings.IndexByte("-.@:*#0123456789", s[0]) < 0 && s[len(s)-1] != ':' &&
		!slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s))
	if plain {
		return s
	}
	return strconv.Quote(s)
}

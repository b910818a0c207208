package policy

import (
	"fmt"
	"strings"
)

// Names are the local names of a box: "uplink" for eth1, "plugins" for /sys/fs/cgroup/plugins. A name stands for an interface when its
// value does not begin with a slash, else for a path.
type Names map[string]string

// Bounds of local names.
const (
	maxName  = 4096 // of any name or path that is asked about
	maxNames = 256
	maxLocal = 64
)

func (n Names) check(name, value string) error {
	switch {
	case len(name) == 0 || len(name) > maxLocal || strings.Trim(name, wordChars) != "" || name[0] == '.' || name[0] == '-':
		return fmt.Errorf("local name %q: up to %d letters, digits, '_', '-' and '.', the first of them no '.' or '-'", short(name), maxLocal)
	case value == "":
		return fmt.Errorf("local name %s stands for nothing", name)
	}
	if err := checkText(value); err != nil {
		return fmt.Errorf("local name %s: %w", name, err)
	}
	switch {
	case isPattern(value):
		return fmt.Errorf("local name %s: stands for one thing, without %q", name, "*")
	case value[0] == '/' && !cleanPath(value):
		return fmt.Errorf("local name %s: path %q has empty parts, \".\" or \"..\"", name, short(value))
	case value[0] == '/' && len(value) > maxPattern:
		return fmt.Errorf("local name %s: a path of %d bytes, more than %d", name, len(value), maxPattern)
	case value[0] != '/':
		if err := checkInterface(value); err != nil {
			return fmt.Errorf("local name %s: %w, nor a path with a slash before it", name, err)
		}
	}
	return nil
}

const wordChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

// resolve puts what local names stand for into a grant.
func (n Names) resolve(g Grant) (Grant, error) {
	if g.target == "" {
		return g, nil
	}
	s := ifaceShape // of net-forward
	if id, ok := headByName[g.head]; ok {
		s = heads[id].shape
	}
	if s == ifaceShape {
		if real, ok := n[g.target]; ok {
			if real[0] == '/' {
				return g, fmt.Errorf("local name %s stands for %s, which is no interface", g.target, real)
			}
			g.target = real
		}
		return g, nil
	}
	if !s.paths() || s == eventShape || strings.IndexByte("/*?", g.target[0]) >= 0 || s == netnsShape && g.target == "." {
		return g, nil
	}
	name, rest, deeper := strings.Cut(g.target, "/")
	real, ok := n[name]
	switch {
	case !ok && !deeper && (s == binaryShape || s == usdtShape):
		return g, nil // the bare name of a program or library
	case !ok:
		return g, fmt.Errorf("there is no local name %q%s; a path begins with a slash", short(name), closest(name, keys(n)))
	case real[0] != '/':
		return g, fmt.Errorf("local name %s stands for %s, which is no path", name, real)
	}
	if s == cgroupShape {
		real = CgroupPath(real)
	}
	if deeper {
		real = strings.TrimSuffix(real, "/") + "/" + rest
	}
	if len(real) > maxPattern {
		return g, fmt.Errorf("a target of %d bytes, more than %d", len(real), maxPattern)
	}
	g.target = real
	return g, nil
}

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rightsFor has a policy of lines, "!" before those that deny, an operator's lines with a "+", and a manifest of those with a "?".
func rightsFor(t *testing.T, names Names, texts string) *Rights {
	t.Helper()
	p, plugin := &Policy{Names: names}, Plugin{}
	var added []Line
	for _, text := range strings.Fields(texts) {
		g := func(sign string) Grant { return mustGrant(t, strings.TrimPrefix(text, sign)) }
		switch text[0] {
		case '!':
			p.Deny = append(p.Deny, Line{Grant: g("!"), File: "p"})
		case '+':
			added = append(added, Line{Grant: g("+"), File: "--allow"})
		case '?':
			if plugin.Manifest == nil {
				plugin.Manifest = &Manifest{}
			}
			plugin.Manifest.Needs = append(plugin.Manifest.Needs, Need{Grant: g("?")})
		default:
			p.Allow = append(p.Allow, Line{Grant: g(""), File: "p"})
		}
	}
	return mustEffective(t, p, plugin, added)
}

func TestPreopens(t *testing.T) {
	names := Names{"logs": "/srv/logs"}
	for texts, want := range map[string]string{
		"":                        "",
		"dir:/a":                  "/a",
		"dir:/a:rw":               "/a:rw",
		"dir:/a dir:/a:rw":        "/a:rw",
		"dir:/a/* all":            "",
		"+all":                    "",
		"+dir:/a":                 "/a",
		"dir:/a !dir:/a/b":        "", // what is denied lies below
		"dir:/a:rw !dir:/a/b:rw":  "/a",
		"dir:/a !dir:/b":          "/a",
		"dir:logs/x":              "/srv/logs/x=/logs/x",
		"?dir:/a":                 "/a!",
		"?dir:/a dir:/a":          "/a",
		"?dir:/a:rw dir:/a":       "/a",
		"?dir:/a dir:/a:rw":       "/a",
		"?dir:/a +dir:/a:rw":      "/a:rw",
		"?dir:/a/b dir:/a/*":      "/a/b",
		"?dir:/a/b dir:/a":        "/a/b",
		"?dir:/a dir:/a/b":        "/a! /a/b",
		"?dir:/a/* dir:/a/b":      "/a/b",
		"?dir:/a +all":            "/a",
		"?dir:/a all !dir:/a":     "/a!",
		"?xdp dir:/a":             "",
		"?xdp dir:/a +dir:/b":     "/b",
		"?dir:logs/x dir:logs":    "/srv/logs/x=/logs/x",
		"?dir:none/x dir:/none/x": "",
		"?dir:logs dir:/srv/logs": "/srv/logs=/logs",
	} {
		var got []string
		for _, p := range rightsFor(t, names, texts).Preopens() {
			text := p.Path
			if p.Guest != p.Path {
				text += "=" + p.Guest
			}
			if p.Write {
				text += ":rw"
			}
			if p.Err != nil {
				text = p.Path + "!"
				if !errors.Is(p.Err, ErrDenied) || !p.Asked {
					t.Errorf("%s: %+v", texts, p)
				}
			}
			got = append(got, text)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q gives %q, want %q", texts, got, want)
		}
	}
}

func TestVariables(t *testing.T) {
	for texts, want := range map[string]string{
		"":                    "",
		"env:LC_*":            "LC_ALL LC_TIME",
		"env":                 "HOME LC_ALL LC_TIME",
		"env !env:HOME":       "LC_ALL LC_TIME",
		"all":                 "",
		"+all":                "",
		"+env:HOME":           "HOME",
		"?env:LC_TIME env":    "LC_TIME",
		"?env:LC_TIME +all":   "LC_TIME",
		"?env env:LC_*":       "LC_ALL LC_TIME",
		"?env:HOME env:LC_*":  "",
		"?xdp +env:HOME":      "HOME",
		"?env:HOME !env all":  "",
		"?env:LC_* +env:HOME": "HOME",
	} {
		r := rightsFor(t, nil, texts)
		var got []string
		for _, name := range []string{"HOME", "LC_ALL", "LC_TIME"} {
			if r.Variable(name) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q gives %q, want %q", texts, got, want)
		}
	}
}

func TestWhatTheOperatorGivesIsOnlyTakenByLinesThatDeny(t *testing.T) {
	r := rightsFor(t, nil, "?dir:/c dir:/b !dir:/a/x !clock +network")
	for a, want := range map[Action]string{
		do(Dir, "/a"): "[yes no]", do(Dir, "/a/x/y"): "[yes no]", do(Dir, "/b"): "[no yes]", do(Dir, "/d"): "[no no]",
	} {
		denied, box := r.Denies(a) != nil, r.CheckBox(a) == nil
		if got := fmt.Sprint([]string{yes(denied), yes(box)}); got != want {
			t.Errorf("%s: denied by a line, granted by the box: %s, want %s", a, got, want)
		}
	}
	if !r.Granted("network") || r.Granted("clock") || rightsFor(t, nil, "+all").Granted("network") {
		t.Error("Granted is about lines with the word itself")
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	mdLink    = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]+))?\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors are the places in a page that a link can lead to, named as forges name them.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range mdHeading.FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

func TestLinksOfTheSpecificationLeadSomewhere(t *testing.T) {
	n := 0
	for _, page := range pages() {
		path := filepath.Join(root, specDir, page+".md")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mdLink.FindAllStringSubmatch(string(text), -1) {
			n++
			to := path
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(path), m[1])
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: link %s: %v", page, m[0], err)
				continue
			}
			if m[2] == "" {
				continue
			}
			there, err := os.ReadFile(to)
			if err != nil || !anchors(string(there))[m[2]] {
				t.Errorf("%s: link %s leads to no heading", page, m[0])
			}
		}
	}
	if n < 100 {
		t.Errorf("found %d links in the specification; is the pattern right?", n)
	}
}

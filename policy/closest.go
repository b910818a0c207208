package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// closest answers "; did you mean X?" for a word that is nearly one of names, else nothing.
func closest(word string, names []string) string {
	if len(word) > 64 {
		return ""
	}
	best, most := "", min(3, (len(word)+1)/2)+1
	for _, n := range slices.Sorted(slices.Values(names)) {
		if d := distance(word, n); d < most {
			best, most = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance counts the letters to add, drop or change to make b out of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := corner
			if a[i] != b[j] {
				d++
			}
			corner = row[j+1]
			row[j+1] = min(d, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}

func keys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// runAgain runs tests that failed once more, on the kernels on which they failed: under emulation a test may meet a time limit that it
// keeps on any machine. The second result counts, and both are shown. What did not fail as a test, such as a leak or a boot, is not run
// again.
func runAgain(ctx context.Context, o *options, b *built, reports []*report) error {
	var kernels, tests []string
	for _, r := range reports {
		names, ok := r.failures()
		if !ok {
			return nil
		}
		if len(names) > 0 {
			kernels = append(kernels, r.Kernel)
			tests = append(tests, names...)
		}
	}
	if len(tests) == 0 {
		return nil
	}
	slices.Sort(tests)
	tests = slices.Compact(tests)
	fmt.Printf("\nonce more, on %s: %s\n", strings.Join(kernels, " "), strings.Join(tests, " "))
	second := *o
	second.kernels, second.run = strings.Join(kernels, " "), "^("+strings.Join(tests, "|")+")$"
	again, err := runAll(ctx, &second, b)
	if err != nil {
		return err
	}
	for _, more := range again {
		i := slices.IndexFunc(reports, func(r *report) bool { return r.Kernel == more.Kernel })
		reports[i].Boots += more.Boots
		reports[i].Seconds += more.Seconds
		reports[i].merge(more)
	}
	return nil
}

// failures are the names of the tests that failed, without those below them; ok is false if something else went wrong.
func (r *report) failures() (names []string, ok bool) {
	if r.Error != "" {
		return nil, false
	}
	for _, p := range r.Tests {
		before := len(names)
		for _, t := range p.Tests {
			if top, _, _ := strings.Cut(t.Name, "/"); t.Result != "pass" && t.Result != "skip" {
				names = append(names, regexp.QuoteMeta(top))
			}
		}
		if p.Status != 0 && len(names) == before {
			return nil, false
		}
	}
	return names, true
}

package main

import (
	"context"
	"reflect"
	"strings"
	"testing"
)

const said = "\x16=== RUN   TestA\n\x16=== ATTR  TestA covers prog XDP\n    a_test.go:7: words\n\x16--- PASS: TestA (0.50s)\n" +
	"\x16=== RUN   TestB\n\x16=== RUN   TestB/old\n    b_test.go:9: a note\n    b_test.go:10: Linux 5.10 is too old\n" +
	"\x16=== RUN   TestB/new\n    b_test.go:12: broken\n\x16--- FAIL: TestB (1.00s)\n    \x16--- SKIP: TestB/old (0.25s)\n    \x16--- FAIL: TestB/new (0.25s)\n" +
	"\x16FAIL\n"

func TestOnlyTestsThatFailedRunAgain(t *testing.T) {
	for _, tc := range []struct {
		title string
		r     report
		names string
		ok    bool
	}{
		{"all passed", report{Tests: []*result{{Tests: []*test{{Name: "TestA", Result: "pass"}}}}}, "", true},
		{"one failed", report{Tests: []*result{{Status: 1, Tests: []*test{{Name: "TestA", Result: "pass"}, {Name: "TestB", Result: "fail"}, {Name: "TestB/x", Result: "fail"}}}}}, "TestB TestB", true},
		{"a leak", report{Tests: []*result{{Status: 1, Tests: []*test{{Name: "TestA", Result: "pass"}}}}}, "", false},
		{"no boot", report{Error: "panic"}, "", false},
	} {
		names, ok := tc.r.failures()
		if got := strings.Join(names, " "); got != tc.names && ok || ok != tc.ok {
			t.Errorf("%s: got %q, %v", tc.title, got, ok)
		}
	}
}

func TestOutputOfTestsIsUnderstood(t *testing.T) {
	r, err := readResult(context.Background(), "p", []byte(said))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range r.Tests {
		u.output = nil
	}
	want := []*test{
		{Name: "TestA", Result: "pass", Seconds: 0.5, Covers: []string{"prog XDP"}},
		{Name: "TestB", Result: "fail", Seconds: 1},
		{Name: "TestB/old", Result: "skip", Seconds: 0.25, Reason: "Linux 5.10 is too old"},
		{Name: "TestB/new", Result: "fail", Seconds: 0.25},
	}
	if !reflect.DeepEqual(r.Tests, want) {
		for _, u := range r.Tests {
			t.Errorf("got %+v", *u)
		}
	}
	if p, s, f := r.count(); p != 1 || s != 1 || f != 1 {
		t.Errorf("got %d passed, %d skipped, %d failed, want 1 each: a test that holds others does not count", p, s, f)
	}
}

func TestSummarySaysWhatWasSkippedAndWhy(t *testing.T) {
	r, err := readResult(context.Background(), "m/p", []byte(said))
	if err != nil {
		t.Fatal(err)
	}
	r.Status = 1
	var b strings.Builder
	printSummary(&b, []*report{{Kernel: "5.10", Release: "5.10.0-1", Tests: []*result{r}, Boots: 1}})
	for _, want := range []string{"skipped on 5.10", "Linux 5.10 is too old", "p.TestB/old", "0 of 1 ok", "FAIL"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got %s\nwant %q in it", b.String(), want)
		}
	}
	if text := r.text(false); !strings.Contains(text, "broken") || strings.Contains(text, "words") {
		t.Errorf("got %s, want what failed", text)
	}
}

func TestTableSaysWhichTestPassedWhere(t *testing.T) {
	r, err := readResult(context.Background(), "m/p", []byte(said))
	if err != nil {
		t.Fatal(err)
	}
	old := &result{Package: "m/p", Tests: []*test{{Name: "TestA", Result: "skip", Reason: "too old", Covers: []string{"prog XDP"}}}}
	got := table([]*report{{Kernel: "5.10", Tests: []*result{old}}, {Kernel: "6.1", Tests: []*result{r}}})
	for _, want := range []string{"| XDP | TestA | no (1) | yes |", "1. too old", "| Arena | **no test** |  |  |", "| LircMode2 | on no kernel"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q in it", got, want)
		}
	}
}

func TestALaterResultCounts(t *testing.T) {
	of := func(outcome string, names ...string) *report {
		p := &result{Package: "p", Status: 1}
		for _, n := range names {
			p.Tests = append(p.Tests, &test{Name: n, Result: outcome})
		}
		return &report{Tests: []*result{p}}
	}
	r, later := of("fail", "TestA", "TestB"), of("pass", "TestB", "TestC")
	later.Tests[0].Status = 0
	r.merge(later)
	if p, _, f := r.Tests[0].count(); p != 2 || f != 1 || r.Tests[0].Status == 0 {
		t.Errorf("got %d passed, %d failed, status %d", p, f, r.Tests[0].Status)
	}
	again := of("pass", "TestA")
	again.Tests[0].Status = 0
	r.merge(again)
	if p, _, f := r.Tests[0].count(); p != 3 || f != 0 || r.failed() {
		t.Errorf("got %d passed, %d failed", p, f)
	}
}

package bpf

import (
	"io"
	"os"
	"testing"
)

func readIter(t *testing.T, l *Link) string {
	t.Helper()
	r, err := l.OpenIter()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestIteratorVisitsEveryTask(t *testing.T) {
	o, p := loadHook(t, "trace", "tasks")
	l := mustAttach(t, p, Target{})
	out := readIter(t, l)
	if got := hits(t, o); uint64(len(out)) > got || len(out) < 2 {
		t.Errorf("got %d dots for %d tasks", len(out), got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := l.OpenIter()
	wantError(t, err, os.ErrClosed)
}

func TestIteratorOverAMap(t *testing.T) {
	o, p := loadHook(t, "trace", "entries")
	l := mustAttach(t, p, Target{MapName: "hits"})
	if got := readIter(t, l); got != "." {
		t.Errorf("got %q, want one dot for the one entry", got)
	}
	_, err := o.Attach(p, Target{MapName: "none"})
	wantError(t, err, ErrNotFound, "hits")
}

func TestOnlyIteratorsCanBeRead(t *testing.T) {
	_, p := loadHook(t, "trace", "raw")
	_, err := mustAttach(t, p, Target{}).OpenIter()
	wantError(t, err, ErrType, "raw_tracepoint")
}

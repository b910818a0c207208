package node

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// clock is a time that a test sets.
type clock struct{ now time.Time }

func (c *clock) tick(d time.Duration) { c.now = c.now.Add(d) }

func limitedLog(w io.Writer, limit int64) (*logLines, *clock) {
	c := &clock{time.Unix(1000, 0)}
	l := newLogLines(w, "p", limit)
	l.now = func() time.Time { return c.now }
	return l, c
}

var lossLine = regexp.MustCompile(`(?m)^bowline: p: dropped (\d+) lines \((\d+) bytes\) of its standard error, which is limited to \d+ lines a second; raise "log-lines" in the limits of the policy \(or run --limit log-lines=N\) to see them\n`)

// split takes the lines about losses out of a log and adds them up.
func split(t *testing.T, log string) (rest string, lines, bytes int64) {
	t.Helper()
	for _, m := range lossLine.FindAllStringSubmatch(log, -1) {
		var a, b int64
		if _, err := fmt.Sscan(m[1]+" "+m[2], &a, &b); err != nil {
			t.Fatal(err)
		}
		lines, bytes = lines+a, bytes+b
	}
	return lossLine.ReplaceAllString(log, ""), lines, bytes
}

func TestLinesAboveTheLimitAreDroppedAndTold(t *testing.T) {
	var out bytes.Buffer
	l, c := limitedLog(&out, 3)
	for i := range 10 {
		fmt.Fprintf(l, "a%d\n", i)
	}
	c.tick(time.Second)
	for i := range 5 {
		fmt.Fprintf(l, "b%d\n", i)
	}
	written, lines, dropped := l.end()
	want := `a0
a1
a2
bowline: p: dropped 7 lines (21 bytes) of its standard error, which is limited to 3 lines a second; raise "log-lines" in the limits of the policy (or run --limit log-lines=N) to see them
b0
b1
b2
bowline: p: dropped 2 lines (6 bytes) of its standard error, which is limited to 3 lines a second; raise "log-lines" in the limits of the policy (or run --limit log-lines=N) to see them
`
	if out.String() != want || written != 6 || lines != 9 || dropped != 27 {
		t.Errorf("%d lines written, %d (%d bytes) dropped, want 6 and 9 (27); the log:\n%s", written, lines, dropped, out.String())
	}
}

func TestALineWithoutEndCounts(t *testing.T) {
	var out bytes.Buffer
	l, c := limitedLog(&out, 2)
	piece := bytes.Repeat([]byte("x"), 1000)
	for range 100 {
		if n, err := l.Write(piece); n != 1000 || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
		c.tick(time.Second) // which would allow it again
	}
	fmt.Fprintf(l, "end\nlast\n")
	l.end()
	rest, _, dropped := split(t, out.String())
	// Two lines a second are more than this line has: all of it is there.
	if strings.Count(rest, "x") != 100_000 || dropped != 0 || !strings.HasSuffix(rest, "xend\nlast\n") {
		t.Errorf("%d of 100000 bytes are there, %d dropped; it ends with %q", strings.Count(rest, "x"), dropped, rest[len(rest)-20:])
	}

	out.Reset()
	l, c = limitedLog(&out, 2)
	for range 100 {
		if _, err := l.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	c.tick(time.Hour)
	fmt.Fprintf(l, "end\nlast\n")
	l.end()
	rest, lines, dropped := split(t, out.String())
	if want := strings.Repeat("x", 2*maxPiece) + "\nlast\n"; rest != want || lines != 1 || dropped != 100_000-2*maxPiece+4 {
		t.Errorf("%d lines, %d bytes dropped of a line that was cut; the log is %d bytes, want %d", lines, dropped, len(rest), len(want))
	}
	if out.Len() > 3*maxPiece {
		t.Errorf("the log has %d bytes", out.Len())
	}
}

func TestEveryByteOfTheLogIsWrittenOrCounted(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var out bytes.Buffer
		l, c := limitedLog(&out, 1+rnd.Int64N(5))
		in, newlines := 0, 0
		for range 200 {
			b := bytes.Repeat([]byte("x"), rnd.IntN(3000))
			for range rnd.IntN(4) {
				if len(b) > 0 {
					b[rnd.IntN(len(b))] = '\n'
				}
			}
			newlines += bytes.Count(b, []byte("\n"))
			in += len(b) - bytes.Count(b, []byte("\n"))
			if n, err := l.Write(b); n != len(b) || err != nil {
				t.Fatalf("write: %d, %v", n, err)
			}
			c.tick(time.Duration(rnd.IntN(400)) * time.Millisecond)
		}
		_, lines, dropped := l.end()
		rest, toldLines, toldBytes := split(t, out.String())
		if toldLines != lines || toldBytes != dropped {
			t.Fatalf("seed %d: told %d lines and %d bytes, dropped %d and %d", seed, toldLines, toldBytes, lines, dropped)
		}
		// Of the bytes dropped some were newlines: at most one for each line.
		if lost := int64(in - strings.Count(rest, "x")); lost > dropped || lost < dropped-lines {
			t.Fatalf("seed %d: %d bytes are not there, %d were counted in %d lines", seed, lost, dropped, lines)
		}
		if lost := int64(newlines - strings.Count(rest, "\n")); lost > lines {
			t.Fatalf("seed %d: %d lines are not there, %d were counted", seed, lost, lines)
		}
	}
}

func TestALogFloodTakesNoMemory(t *testing.T) {
	l := newLogLines(io.Discard, "p", 1000)
	flood := bytes.Repeat([]byte("x\n"), 32<<10)
	line := bytes.Repeat([]byte("x"), 64<<10)
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = l.Write(flood)
		_, _ = l.Write(line)
	})
	if allocs > 1 { // what is told once a second
		t.Errorf("%v allocations for each write", allocs)
	}
	if _, lines, _ := l.end(); lines == 0 {
		t.Error("nothing was dropped, so that this tests nothing")
	}
}

func TestATerminalAndNoLimitKeepTheFile(t *testing.T) {
	if w, l := logWriter(io.Discard, "p", -1); w != io.Discard || l != nil {
		t.Error("without limit there is a writer in between")
	}
	if w, l := logWriter(nil, "p", 5); w != nil || l != nil {
		t.Error("without standard error there is a writer")
	}
}

// BenchmarkLogLine is what the limit costs for each line that passes.
func BenchmarkLogLine(b *testing.B) {
	l := newLogLines(io.Discard, "p", 1<<40)
	line := []byte("some line of a usual length, as programs write it to their logs\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Write(line); err != nil {
			b.Fatal(err)
		}
	}
}

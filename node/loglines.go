package node

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxPiece is how many bytes of a line count as one line, so that a line without
// end counts, too.
const maxPiece = 4 << 10

// logLines passes what a plugin writes to its log on, up to so many lines a second. What
// is above is dropped, counted, and told: in the log itself, at most once a
// second, and at the end. It keeps nothing of what the plugin writes.
type logLines struct {
	w     io.Writer
	name  string
	limit int64
	now   func() time.Time

	// mu guards the fields that follow.
	mu     sync.Mutex
	allow  float64   // lines that may be written now
	last   time.Time // when allow was last raised
	col    int       // bytes of the present piece
	pass   bool      // whether it is written
	middle bool      // whether the present line began before
	told   time.Time // when a loss was last told

	lines, bytes         int64 // dropped in all
	toldLines, toldBytes int64 // of these
	written              int64 // lines
}

func newLogLines(w io.Writer, name string, limit int64) *logLines {
	return &logLines{w: w, name: name, limit: limit, now: time.Now, allow: float64(limit)}
}

// logWriter is the standard error of a plugin with a limit of lines a second. A
// terminal has none: somebody looks at it, and it sets the pace. The logLines is nil
// where there is no limit.
func logWriter(w io.Writer, name string, limit int64) (io.Writer, *logLines) {
	f, isFile := w.(*os.File)
	if w == nil || limit <= 0 || isFile && isTerminal(f) {
		return w, nil
	}
	l := newLogLines(w, name, limit)
	return l, l
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Write writes what the limit allows, and answers as if it had written all.
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill()
	start := 0 // of what is to be written
	for at := 0; at < len(p); {
		end := at + min(len(p)-at, maxPiece-l.col)
		ended := false
		if i := bytes.IndexByte(p[at:end], '\n'); i >= 0 {
			end, ended = at+i+1, true
		}
		if l.col == 0 {
			was := l.pass
			l.begin()
			if was && !l.pass { // what was to be written ends here
				if err := l.put(p[start:at]); err != nil {
					return start, err
				}
				if l.middle {
					if err := l.put([]byte{'\n'}); err != nil {
						return at, err
					}
				}
			}
			if l.pass && !was {
				start = at
				if err := l.tell(false); err != nil {
					return at, err
				}
			}
		}
		if !l.pass {
			l.bytes += int64(end - at)
		}
		l.col += end - at
		if ended || l.col == maxPiece {
			l.col, l.middle = 0, !ended
		}
		at = end
	}
	if l.pass {
		if err := l.put(p[start:]); err != nil {
			return start, err
		}
	}
	return len(p), nil
}

// begin decides about the next piece. The rest of a line of which a piece was dropped
// is dropped, too, and is the same line.
func (l *logLines) begin() {
	if l.middle && !l.pass {
		return
	}
	if l.pass = l.allow >= 1; l.pass {
		l.allow--
		l.written++
		return
	}
	l.lines++
}

func (l *logLines) refill() {
	now := l.now()
	if !l.last.IsZero() {
		l.allow = min(float64(l.limit), l.allow+now.Sub(l.last).Seconds()*float64(l.limit))
	}
	l.last = now
}

func (l *logLines) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := l.w.Write(b)
	return err
}

// tell says what was dropped since it was last told, if that is a second ago.
func (l *logLines) tell(atEnd bool) error {
	if l.lines == l.toldLines && l.bytes == l.toldBytes || !atEnd && l.last.Sub(l.told) < time.Second {
		return nil
	}
	text := fmt.Sprintf("bowline: %s: dropped %d lines (%d bytes) of its standard error, which is limited to %d lines a second; raise \"log-lines\" in the limits of the policy (or run --limit log-lines=N) to see them\n",
		Printable(l.name), l.lines-l.toldLines, l.bytes-l.toldBytes, l.limit)
	l.told, l.toldLines, l.toldBytes = l.last, l.lines, l.bytes
	return l.put([]byte(text))
}

// end tells what was dropped and was not told, and answers how many lines were
// written and dropped in all, and how many bytes were dropped. It may be called on nil.
func (l *logLines) end() (written, lines, bytes int64) {
	if l == nil {
		return 0, 0, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pass && (l.col > 0 || l.middle) && l.lines != l.toldLines {
		_ = l.put([]byte{'\n'}) // after a line that did not end
	}
	_ = l.tell(true)
	return l.written, l.lines, l.bytes
}

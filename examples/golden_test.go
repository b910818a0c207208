package examples_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The golden file of a plugin has one pattern on each line, from the sixth column
// on, after a word that says what it is for. Every line that the plugin prints must match one of them.
// {name} stands for a value that the test knows. Lines with # are comments.
const (
	must = "must" // has to be there before the plugin is stopped
	last = "last" // has to be there when the plugin has ended
	may  = "may"  // allowed
)

// pattern is one line of a golden file.
type pattern struct {
	kind string
	re   *regexp.Regexp
}

// readGolden reads the patterns of a plugin and puts in what the test knows.
func readGolden(t *testing.T, plugin string, r row) []pattern {
	t.Helper()
	file, text := "golden of the row", r.golden
	if text == "" {
		file = filepath.Join(plugin, plugin+".golden")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	var names []string
	for k, v := range r.vars {
		names = append(names, "{"+k+"}", regexp.QuoteMeta(v))
	}
	replace := strings.NewReplacer(names...)
	var all []pattern
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		l += "     "
		kind, expr := strings.TrimSpace(l[:5]), strings.TrimRight(l[5:], " ")
		if !slices.Contains([]string{must, last, may}, kind) {
			t.Fatalf("%s: line %q does not begin with must, last or may", file, l)
		}
		re, err := regexp.Compile("^(?:" + replace.Replace(expr) + ")$")
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, pattern{kind, re})
	}
	if len(all) == 0 || all[0].kind != must {
		t.Fatalf("%s: the first pattern must be a %q: the line that says that the plugin is ready", file, must)
	}
	return all
}

// kinds are the patterns of these kinds.
func kinds(all []pattern, kinds ...string) []pattern {
	return slices.DeleteFunc(slices.Clone(all), func(p pattern) bool { return !slices.Contains(kinds, p.kind) })
}

func matchesAny(line string, all []pattern) bool {
	return slices.ContainsFunc(all, func(p pattern) bool { return p.re.MatchString(line) })
}

// missing is the first pattern that matches no line, or "".
func missing(lines []string, want []pattern) string {
	for _, p := range want {
		if !slices.ContainsFunc(lines, p.re.MatchString) {
			return p.re.String()
		}
	}
	return ""
}

// output collects what a plugin prints.
type output struct {
	// mu guards the fields that follow.
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at the next write; nil if nobody waits
	// unready is called when the plugin has ended before it printed what await waits for. Nil is nothing.
	unready func()
}

// Write implements [io.Writer].
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// lines are the whole lines so far.
func (o *output) lines() []string {
	lines := strings.Split(o.String(), "\n")
	return lines[:len(lines)-1]
}

// await waits until lacks answers "" for the lines so far. It fails the test if
// the plugin ends first, or takes too long.
func (o *output) await(t *testing.T, ended <-chan struct{}, lacks func([]string) string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		lack := lacks(o.lines())
		if lack == "" {
			return
		}
		select {
		case <-changed:
		case <-ended:
			if lack = lacks(o.lines()); lack != "" {
				if o.unready != nil {
					o.unready()
				}
				t.Fatalf("the plugin ended without a line that matches %s", lack)
			}
			return
		case <-timeout:
			t.Fatalf("after %s there is no line that matches %s", patience, lack)
		}
	}
}

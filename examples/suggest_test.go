package examples_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

// carryOn are plugins that go on when a grant is missing: they print addresses in place of names.
var carryOn = []string{"profile"}

// TestTracedPoliciesAreEnoughAndNoLineIsNeedless does what "policy suggest --trace" does, and runs each plugin again with what is suggested: with
// all of it, and with each line taken out.
func TestTracedPoliciesAreEnoughAndNoLineIsNeedless(t *testing.T) {
	kerneltest.RequireRoot(t)
	if testing.Short() {
		t.Skip("runs each plugin several times")
	}
	seen := map[string]bool{}
	for _, p := range plugins {
		plugin, options, _ := strings.Cut(strings.Replace(p.name, ",", "", 1), " ")
		if seen[plugin] && options != "--packet" { // other options, or the older interface, need the same
			continue
		}
		seen[plugin] = true
		t.Run(p.name, func(t *testing.T) {
			r := p.setup(t)
			if r.refused {
				t.Skip("this kernel cannot run it")
			}
			traced := try(t, plugin, r, nil, policy.Everything())
			grants := policy.Suggest(traced.actions)
			if len(grants) == 0 {
				t.Fatal("nothing is suggested")
			}
			with := func(grants []policy.Grant) trial {
				t.Helper()
				box := &policy.Policy{}
				for _, g := range grants {
					box.Allow = append(box.Allow, policy.Line{Grant: g, File: "suggested"})
				}
				return try(t, plugin, r, box, nil)
			}
			if got := with(grants); len(got.denied) > 0 || !got.all {
				t.Fatalf("with what is suggested, %v, it ends with %d and is denied %v:\n%s", grants, got.code, got.denied, got.stderr)
			}
			for i, g := range grants {
				got := with(slices.Delete(slices.Clone(grants), i, i+1))
				if len(got.denied) == 0 {
					t.Errorf("without %q it is denied nothing and ends with %d", g, got.code)
				}
				if got.code != node.ExitDenied && !slices.Contains(carryOn, plugin) {
					t.Errorf("without %q it ends with %d, want %d:\n%s", g, got.code, node.ExitDenied, got.stderr)
				}
			}
		})
	}
}

// trial is how a run went.
type trial struct {
	actions []policy.Action
	denied  []policy.Action
	all     bool // it printed all that its golden file wants
	code    int
	stderr  string
}

// try runs a plugin until it has printed all that it must, was denied something, or ended.
func try(t *testing.T, plugin string, r row, box *policy.Policy, added []policy.Line) (got trial) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr output
	var mu sync.Mutex
	ended, denied := make(chan struct{}), make(chan struct{})
	start := func() {
		code, err := node.Run(ctx, node.RunOptions{
			Policy: box, Allow: added, File: pluginFile(plugin), Args: r.args, CacheDir: cache, Names: r.names, Stdout: &stdout, Stderr: &stderr,
			Watch: func(a policy.Action, err error) {
				mu.Lock()
				defer mu.Unlock()
				got.actions = append(got.actions, a)
				if err != nil {
					if got.denied = append(got.denied, a); len(got.denied) == 1 {
						close(denied)
					}
				}
			},
		})
		if got.code = code; err != nil {
			t.Error(err)
		}
	}
	go func() {
		defer close(ended)
		if r.netns == nil {
			start()
		} else if err := r.netns.Do(start); err != nil {
			t.Error(err)
		}
	}()
	stdout.unready = func() { skipUnsupported(t, got.code, stderr.String()) }
	// What it prints decides when the events are made; a denial may come before that, at them or at the end.
	if done(t, &stdout, ended, denied, readGolden(t, plugin, r)[:1]) {
		if r.cause != nil {
			r.cause()
		}
		want := kinds(readGolden(t, plugin, r), must)
		got.all = done(t, &stdout, ended, denied, want)
	}
	select {
	case <-denied: // it ends by itself
	default:
		if !r.ends {
			stop()
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("%s does not end", plugin)
	}
	got.stderr = stderr.String()
	if len(got.denied) == 0 {
		skipUnsupported(t, got.code, got.stderr)
	}
	return got
}

// done waits until there are lines for all patterns, and answers whether they came before the plugin ended or was denied something.
func done(t *testing.T, out *output, ended, denied <-chan struct{}, want []pattern) bool {
	t.Helper()
	either := make(chan struct{})
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		defer close(either)
		select {
		case <-ended:
		case <-denied:
		case <-stopped:
		}
	}()
	return out.waits(either, func(lines []string) bool { return missing(lines, want) == "" })
}

// waits is as await, for one who does not know whether it will come.
func (o *output) waits(ended <-chan struct{}, is func([]string) bool) bool {
	for timeout := time.After(patience); ; {
		o.mu.Lock()
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		if is(o.lines()) {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			return is(o.lines())
		case <-timeout:
			return false
		}
	}
}

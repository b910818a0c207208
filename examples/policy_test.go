package examples_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/bowline-edge/bowline/policy"
)

// observed are the things that each plugin asked for in the runs of the golden files, which run with the plugin's own policy.
var observed = struct {
	sync.Mutex
	actions map[string][]policy.Action
}{actions: map[string][]policy.Action{}}

// policyOf is the policy beside a plugin. One that has none may do everything.
func policyOf(t *testing.T, plugin string) (*policy.Policy, []policy.Line) {
	t.Helper()
	file := filepath.Join(plugin, "policy.yaml")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, policy.Everything()
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(b, file)
	if err != nil {
		t.Fatal(err)
	}
	return p, nil
}

// observe keeps what a plugin asks for.
func observe(plugin string) func(policy.Action, error) {
	return func(a policy.Action, _ error) {
		observed.Lock()
		defer observed.Unlock()
		observed.actions[plugin] = append(observed.actions[plugin], a)
	}
}

// checkPolicies looks, after the plugins have run with their policies, that each line of these was needed: without it something that the
// plugin did would be denied.
func checkPolicies(t *testing.T) {
	t.Helper()
	for plugin, actions := range observed.actions {
		p, _ := policyOf(t, plugin)
		if p == nil {
			continue
		}
		for i, l := range p.Allow {
			less := &policy.Policy{Names: p.Names, Allow: slices.Delete(slices.Clone(p.Allow), i, i+1)}
			rights, err := policy.Effective(less, policy.Plugin{Name: plugin}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(actions, func(a policy.Action) bool { return rights.Check(a) != nil }) {
				t.Errorf("%s/policy.yaml: line %q is not needed for anything that the plugin does", plugin, l.Grant)
			}
		}
	}
}

package node

import (
	"testing"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
)

// The limits of the policy are those of one budget, which every module that the plugin imports uses.
func TestLimitsAreOneBudget(t *testing.T) {
	rights, err := policy.Effective(nil, policy.Plugin{}, policy.Everything())
	if err != nil {
		t.Fatal(err)
	}
	opts := RunOptions{Limits: policy.Limits{Programs: 1, Links: 2, Rings: 3, Files: 4, Handles: 5, MapMemory: 6 << 10}}
	o := newGuard(opts, rights, "plugin", nil, newTalk(nil, "plugin", false)).session(opts)
	if o.Programs != 1 || o.Links != 2 || o.Rings != 3 || o.Files != 4 || o.Handles != 5 || o.MapMemory != 6<<10 {
		t.Errorf("got %+v", o)
	}
	if a, b := session.New(o), session.New(o); a.Budget() != b.Budget() {
		t.Error("two modules have two budgets")
	}
}

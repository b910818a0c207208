package node

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
)

// guard tells the operator what a plugin was denied.
type guard struct {
	rights *policy.Rights
	limits policy.Limits
	name   string
	digest string
	audit  io.Writer
	watch  func(policy.Action, error)
	t      *talk
	told   map[string]bool
	many   map[string]int // denials, by what was tried
}

func newGuard(opts RunOptions, rights *policy.Rights, name string, wasm []byte, t *talk) *guard {
	g := &guard{rights: rights, limits: rights.Limits().With(opts.Limits), name: name, digest: digest(wasm), audit: opts.Audit, watch: opts.Watch, t: t, told: map[string]bool{}, many: map[string]int{}}
	g.limits.Memory = cmp.Or(int64(min(opts.MemoryLimit, math.MaxInt64)), g.limits.Memory)
	g.limits.MapMemory = cmp.Or(int64(min(opts.MapMemory, math.MaxInt64)), g.limits.MapMemory)
	if g.audit == nil {
		g.audit = t.w
	}
	return g
}

// session are the options of what the plugin has open.
func (g *guard) session(opts RunOptions) session.Options {
	o := session.Options{
		MapMemory: uint64(g.limits.MapMemory), Programs: int(g.limits.Programs), Links: int(g.limits.Links),
		Rings: int(g.limits.Rings), Files: int(g.limits.Files), Handles: int(g.limits.Handles), Names: map[string]string{},
		Shared: opts.Shared, Guard: g.rights, Watch: g.decided,
	}
	o.Budget = session.NewBudget(o) // one for all modules that the plugin imports
	if box := opts.box(); box != nil {
		maps.Copy(o.Names, box.Names)
	}
	return o
}

// maxTold bounds what a guest can make the host remember.
const maxTold = 256

// decided is told of every decision, on the plugin's goroutine. Each denial is told once.
func (g *guard) decided(a policy.Action, err error) {
	if g.watch != nil {
		g.watch(a, err)
	}
	var d *policy.Denied
	if !errors.As(err, &d) {
		return
	}
	key := d.Action.String()
	if kind := d.Action.Verb(); g.told[key] {
		return
	} else if g.many[kind]++; g.many[kind] == maxTold { // made-up names of one kind do not hide another kind
		fmt.Fprintln(g.audit, auditLine(g.name, g.digest, &policy.Denied{Action: policy.Action{Kind: d.Action.Kind, Name: "and more, which are not told"}}))
		return
	} else if g.many[kind] > maxTold {
		return
	}
	g.told[key] = true
	g.t.note(key, err)
	fmt.Fprintln(g.audit, auditLine(g.name, g.digest, d))
}

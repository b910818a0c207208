package session

import (
	"cmp"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
)

// ErrLimit is matched by every error that says: the plugin has as much of something as it may. See [LimitError].
var ErrLimit = errors.New("the plugin's limit is reached")

// Budget is what one plugin may use and what it uses. All sessions of a plugin share one. It is safe for concurrent use.
type Budget struct {
	// room is held while maps are made, so that no two instances spend the same memory.
	room sync.Mutex

	// mu guards the fields that follow.
	mu     sync.Mutex
	most   cost
	used   cost
	memory uint64 // what is left of Options.MapMemory
	host   uint64 // what is left of Options.HostMemory
	kept   bool   // maps and programs may outlive their handles
	closed []closed
}

// resource is something that is counted. Its name is that of the limit in a policy.
type resource int

const (
	programs resource = iota // in the kernel
	links                    // in the kernel
	rings                    // ring buffers and perf arrays with a reader
	files                    // descriptors of this process
	handles                  // of the guest
	resources
)

var resourceNames = [resources]string{"programs", "links", "rings", "files", "handles"}

// cost is how many of each resource something takes.
type cost [resources]int

func (c cost) plus(d cost) cost {
	for r := range c {
		c[r] += d[r]
	}
	return c
}

// NewBudget makes a budget of the limits in opts. Zeros are the defaults.
func NewBudget(opts Options) *Budget {
	opts.defaults()
	return &Budget{
		most:   cost{programs: opts.Programs, links: opts.Links, rings: opts.Rings, files: opts.Files, handles: opts.Handles},
		memory: opts.MapMemory, host: opts.HostMemory,
	}
}

// defaults fills zeros in.
func (o *Options) defaults() {
	d := policy.DefaultLimits()
	o.MapMemory = cmp.Or(o.MapMemory, uint64(d.MapMemory))
	o.HostMemory = cmp.Or(o.HostMemory, DefaultHostMemory)
	o.Programs, o.Links, o.Rings = cmp.Or(o.Programs, int(d.Programs)), cmp.Or(o.Links, int(d.Links)), cmp.Or(o.Rings, int(d.Rings))
	o.Files, o.Handles = cmp.Or(o.Files, int(d.Files)), cmp.Or(o.Handles, int(d.Handles))
	o.PinPath = cmp.Or(o.PinPath, DefaultPinPath)
}

// LimitError says that a plugin has as many of something as it may. It matches [ErrLimit], and [ErrTooMany] for handles and files.
type LimitError struct {
	// Limit is its name in a policy: "links".
	Limit string
	// Most is the limit, Used what is in use, Want how many more there should be at least.
	Most, Used, Want int
}

// Error names the limit and how to raise it.
func (e *LimitError) Error() string {
	how := raise(e.Limit, "N")
	if e.Used > 0 {
		how = "close some, or " + how
	}
	return fmt.Sprintf("%d of %d %s are in use, and this takes at least %d: %s", e.Used, e.Most, e.Limit, e.Want, how)
}

// raise says how an operator raises a limit.
func raise(limit, unit string) string {
	return fmt.Sprintf(`raise "%s" in the limits of the policy (or run --limit %[1]s=%s)`, limit, unit)
}

// Is reports whether target is [ErrLimit], or [ErrTooMany] for what is counted in handles and descriptors.
func (e *LimitError) Is(target error) bool {
	return target == ErrLimit || target == ErrTooMany && e.Unwrap() == unix.EMFILE
}

// Unwrap returns the number that the kernel has for it: EMFILE for handles and files, ENOMEM for what is in the kernel.
func (e *LimitError) Unwrap() error {
	if e.Limit == resourceNames[files] || e.Limit == resourceNames[handles] {
		return unix.EMFILE
	}
	return unix.ENOMEM
}

// take takes all of a cost or nothing. The error is a [*LimitError]. If there are too many programs or links, it tries once more when the
// kernel has freed those that were closed.
func (b *Budget) take(c cost) error {
	err := b.try(c)
	var limit *LimitError
	if !errors.As(err, &limit) {
		return err
	}
	kind := map[string]bpf.IDKind{resourceNames[programs]: bpf.IDProgram, resourceNames[links]: bpf.IDLink}[limit.Limit]
	for kind != "" && b.settle(kind) {
		if b.try(c) == nil {
			return nil
		}
	}
	return err
}

func (b *Budget) try(c cost) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range resources {
		if c[r] > 0 && c[r] > b.most[r]-b.used[r] {
			return &LimitError{resourceNames[r], b.most[r], b.used[r], c[r]}
		}
	}
	b.used = b.used.plus(c)
	return nil
}

// give gives a cost back.
func (b *Budget) give(c cost) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range resources {
		b.used[r] -= c[r]
	}
}

// left answers how many of a resource there still may be.
func (b *Budget) left(r resource) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most[r] - b.used[r]
}

// Used answers how much of each limit is in use, by its name in a policy.
func (b *Budget) Used() map[string]int {
	b.reap()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for r, name := range resourceNames {
		out[name] = b.used[r]
	}
	return out
}

// takeHost takes memory of this process.
func (b *Budget) takeHost(bytes uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes > b.host {
		return fmt.Errorf("%w: it takes %d KiB of the host's memory, and %d KiB are left; close some", errHostMemory, bytes>>10, b.host>>10)
	}
	b.host -= bytes
	return nil
}

func (b *Budget) giveHost(bytes uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.host += bytes
}

// errHostMemory is the end of [Options].HostMemory.
var errHostMemory = fmt.Errorf("out of memory for objects and logs: %w", unix.ENOMEM)

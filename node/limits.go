package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
)

// EndsAfter says when a run stops by itself, for a process that watches another one: the sooner of the time-out and the
// limit wall-time. Zero means never, or that the module cannot be read here.
func EndsAfter(opts RunOptions) time.Duration {
	most := opts.Limits.WallTime
	if opts.File != "-" { // which is read once
		if name, wasm, err := read(context.Background(), &opts); err == nil {
			if rights, err := Rights(name, wasm, opts.box(), opts.Allow); err == nil {
				most = rights.Limits().With(opts.Limits).WallTime
			}
		}
	}
	if most <= 0 || opts.Timeout > 0 && opts.Timeout < most {
		return opts.Timeout
	}
	return most
}

// wallTime ends the context when the plugin has run for as long as it may, unless the
// time-out is sooner.
func (g *guard) wallTime(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	most := g.limits.WallTime
	if most <= 0 || timeout > 0 && timeout <= most {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, most, &engine.LimitError{Limit: "wall-time", Value: most.String(), What: "ran for " + most.String()})
}

// limited writes an audit line if a run ended at a limit.
func (g *guard) limited(err error) {
	limit, ok := errors.AsType[*engine.LimitError](err)
	if m, isMemory := errors.AsType[*engine.MemoryError](err); !ok && isMemory {
		limit, ok = &engine.LimitError{Limit: "memory", Value: policy.FormatSize(int64(m.Limit))}, true
	}
	if ok {
		g.met(limit.Limit, limit.Value)
	}
}

// budget has the limits that a plugin meets while it runs written to the audit log, each once: such a plugin may go on.
func (g *guard) budget(tell func(string, error)) func(string, error) {
	return func(step string, err error) {
		tell(step, err)
		if !errors.Is(err, session.ErrLimit) {
			return
		}
		limit, value := "map-memory", policy.FormatSize(g.limits.MapMemory)
		if l, ok := errors.AsType[*session.LimitError](err); ok {
			limit, value = l.Limit, fmt.Sprint(l.Most)
		}
		if key := "limit " + limit; !g.told[key] {
			g.told[key] = true
			g.met(limit, value)
		}
	}
}

// met writes an audit line about a limit.
func (g *guard) met(limit, value string) {
	fmt.Fprintln(g.audit, limitLine(g.name, g.digest, limit, value))
}

// used tells what a run took of its budgets, and of what it could not see.
func (g *guard) used(u runtime.Usage, lines *logLines) {
	written, dropped, bytes := lines.end()
	g.t.end()
	if dropped > 0 {
		g.met("log-lines", fmt.Sprint(g.limits.LogLines))
	}
	if !g.t.verbose {
		return
	}
	g.t.detail("used %d KiB of memory and %s of CPU time", u.Memory>>10, u.CPU.Round(time.Microsecond))
	g.t.detail("the plugin has used %d units of fuel", u.Fuel)
	if u.Slept > 0 {
		g.t.detail("slept %s, because its share of the CPU is %d%%", u.Slept.Round(time.Millisecond), g.limits.CPUShare)
	}
	if lines != nil {
		g.t.detail("wrote %d lines to standard error; %d (%d bytes) were dropped", written, dropped, bytes)
	}
}

package kernel

import (
	"context"
	"time"
)

// ProbeAnswer says whether something works here.
type ProbeAnswer string

// The answers of a probe.
const (
	// ProbeYes means that it was tried and works.
	ProbeYes ProbeAnswer = "yes"
	// ProbeNo means that this kernel does not have it or refuses it to everybody.
	ProbeNo ProbeAnswer = "no"
	// ProbeDenied means that this process lacks a privilege; the kernel may well have it.
	ProbeDenied ProbeAnswer = "denied"
	// ProbeUnknown means that it could not be tried.
	ProbeUnknown ProbeAnswer = "unknown"
)

// ProbeVerdict is the sum of a probe.
type ProbeVerdict string

// The verdicts of a probe.
const (
	// VerdictOK means that maps can be made and programs loaded.
	VerdictOK ProbeVerdict = "ok"
	// VerdictDenied means that the kernel has BPF and this process may not use it.
	VerdictDenied ProbeVerdict = "denied"
	// VerdictUnusable means that this kernel has no usable BPF.
	VerdictUnusable ProbeVerdict = "unusable"
)

// ProbeReport is what this kernel lets this process do with BPF. Its JSON form is stable: fields are added, never
// renamed or removed.
type ProbeReport struct {
	// Verdict is the sum; Reason says why it is not "ok" and Get what would help.
	Verdict ProbeVerdict `json:"verdict"`
	Reason  string       `json:"reason,omitempty"`
	Get     string       `json:"get,omitempty"`
	// Kernel is what the system says about itself.
	Kernel ProbeKernel `json:"kernel"`
	// Privileges is what this process holds.
	Privileges ProbePrivileges `json:"privileges"`
	// Mounts are the file systems that BPF tools use.
	Mounts []ProbeMount `json:"mounts"`
	// Groups hold every feature that was asked for.
	Groups []ProbeGroup `json:"groups"`
	// Milliseconds is how long the probe took.
	Milliseconds int64 `json:"milliseconds"`
}

// ProbeGroup is a set of features of one kind.
type ProbeGroup struct {
	// ID is "hooks", "features", "programs" or "maps"; Title is for people.
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Features []ProbeFeature `json:"features"`
}

// ProbeFeature is the answer for one feature.
type ProbeFeature struct {
	Name   string      `json:"name"`
	Answer ProbeAnswer `json:"answer"`
	// Since is the first Linux version that has it, empty if unknown.
	Since string `json:"since,omitempty"`
	// Why says the reason when the answer is not yes, or a limit when it is.
	Why string `json:"why,omitempty"`
	// Get says what to do to have it.
	Get string `json:"get,omitempty"`
}

// probeTest is one question to the kernel.
type probeTest struct {
	name  string
	since string
	// config lists the build options that it needs, the likeliest to miss first.
	config []string
	// caps are the capabilities that it needs on a kernel with CAP_BPF.
	caps []Cap
	// try asks. A nil error means yes.
	try func() error
}

// probeSet is a named list of questions.
type probeSet struct {
	id, title string
	tests     []probeTest
}

// Probe asks the running kernel what it lets this process do. It never fails: what cannot be asked is answered
// "unknown". It leaves nothing behind: programs and links are closed at once and network devices live in a network
// namespace that ends with a thread of its own. When ctx ends, the questions left are answered "unknown".
func Probe(ctx context.Context) *ProbeReport {
	start := time.Now()
	h := readHost()
	r := &ProbeReport{Kernel: h.kernel, Privileges: h.privileges, Mounts: h.mounts}
	basic := probeBasics()
	r.Verdict, r.Reason, r.Get = h.verdict(basic)
	for _, set := range []probeSet{h.hookTests(), featureTests(), programTests(), mapTests()} {
		g := ProbeGroup{ID: set.id, Title: set.title}
		for _, t := range set.tests {
			g.Features = append(g.Features, h.ask(ctx, t))
		}
		r.Groups = append(r.Groups, g)
	}
	r.Milliseconds = time.Since(start).Milliseconds()
	return r
}

// ask runs one test and turns its error into words.
func (h *probeHost) ask(ctx context.Context, t probeTest) ProbeFeature {
	f := ProbeFeature{Name: t.name, Since: t.since}
	if ctx.Err() != nil {
		f.Answer, f.Why = ProbeUnknown, "not asked: the time for the probe ran out"
		return f
	}
	f.Answer, f.Why, f.Get = h.explain(t, t.try())
	return f
}

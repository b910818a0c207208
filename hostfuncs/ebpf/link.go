package ebpf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var linkFunctions = []function{
	{"link_attach", (*instance).linkAttach},
	{"link_update", (*instance).linkUpdate},
	{"link_info", (*instance).linkInfo},
	{"link_detach", (*instance).linkDetach},
	{"iter_open", (*instance).iterOpen},
	{"iter_read", (*instance).iterRead},
}

// link takes a handle of a link.
func (i *instance) link(c *call) *bpf.Link {
	l, err := i.s.Link(c.i32())
	if err != nil && c.ok() {
		c.err = err
	}
	return l
}

// linkAttach is link_attach(program, target, out).
func (i *instance) linkAttach(c *call) error {
	p := i.program(c)
	var t abi.Target
	structure(c, &t, "target")
	out := c.outU32()
	name, symbol := c.textAt(t.Name.Ptr, t.Name.Len, "name"), c.textAt(t.Symbol.Ptr, t.Symbol.Len, "symbol")
	if !c.ok() {
		return nil
	}
	target, err := i.target(p, &t, name, symbol)
	if err != nil {
		return fmt.Errorf("attach %s: %w", p.Name(), err)
	}
	h, err := i.s.Attach(p, target)
	i.env.Note("attach "+p.Name(), err)
	return putHandle(out, h, placeError(err))
}

// hookFields are the fields of a target that each hook reads.
var hookFields = func() map[bpf.Hook][]string {
	m := map[bpf.Hook][]string{}
	for _, h := range abi.Hooks() {
		for _, f := range h.Fields {
			m[bpf.Hook(h.Name)] = append(m[bpf.Hook(h.Name)], strings.TrimSuffix(f, "!"))
		}
	}
	return m
}()

// target turns the structure into what package bpf takes, and refuses fields that the program's hook does not read.
func (i *instance) target(p *bpf.Program, t *abi.Target, name, symbol string) (bpf.Target, error) {
	if err := zero("target.reserved", t.Reserved); err != nil {
		return bpf.Target{}, err
	}
	reads := hookFields[p.Hook()]
	for _, f := range usedFields(t) {
		if !slices.Contains(reads, f) {
			return bpf.Target{}, fmt.Errorf("%w: hook %s does not read target.%s; it reads %s", session.ErrArgument, p.Hook(), f, orNone(reads))
		}
	}
	out := bpf.Target{
		Symbol: symbol, Offset: t.Offset, PID: int(t.PID), Cookie: t.Cookie, Frequency: t.Frequency, Period: t.Period,
		PerfConfig: t.PerfConfig, Priority: int(t.Priority),
	}
	if t.PerfType != 0 {
		out.Perf, out.PerfType = true, uint64(t.PerfType-1)
	}
	if strings.Contains(symbol, ",") && strings.Contains(string(p.Hook()), ".") { // the multi hooks
		out.Symbol, out.Symbols = "", strings.Split(symbol, ",")
	}
	setName(&out, p.Hook(), i.s.Resolve(name))
	if err := setNumbers(&out, t); err != nil {
		return out, err
	}
	return out, i.setHandles(&out, t)
}

func orNone(fields []string) string {
	if len(fields) == 0 {
		return "none"
	}
	return strings.Join(fields, ", ")
}

// usedFields are the fields that are not zero.
func usedFields(t *abi.Target) []string {
	var used []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"name", t.Name.Len != 0}, {"symbol", t.Symbol.Len != 0}, {"offset", t.Offset != 0}, {"cookie", t.Cookie != 0},
		{"frequency", t.Frequency != 0}, {"period", t.Period != 0}, {"perf_config", t.PerfConfig != 0}, {"perf_type", t.PerfType != 0},
		{"pid", t.PID != 0}, {"map", t.Map != 0}, {"program", t.Program != 0}, {"socket", t.Socket != 0}, {"mode", t.Mode != 0},
		{"direction", t.Direction != 0}, {"family", t.Family != 0}, {"chain", t.Chain != 0}, {"priority", t.Priority != 0},
		{"place", t.Place != 0}, {"anchor", t.Anchor != 0},
	} {
		if f.set {
			used = append(used, f.name)
		}
	}
	return used
}

// setName puts the one name of a target where its hook looks for it.
func setName(t *bpf.Target, h bpf.Hook, name string) {
	switch h {
	case bpf.HookXDP, bpf.HookTC, bpf.HookTCX, bpf.HookNetkit:
		t.Interface = name
	case bpf.HookCgroup, bpf.HookSockOps, bpf.HookLSMCgroup, bpf.HookIter:
		t.Cgroup = name
	case bpf.HookSkLookup, bpf.HookFlowDissector:
		t.Netns = name
	default:
		t.Path = name
	}
}

var (
	modes      = []bpf.XDPMode{bpf.XDPAuto, bpf.XDPNative, bpf.XDPGeneric, bpf.XDPOffload}
	places     = []bpf.Place{bpf.PlaceAuto, bpf.PlaceFirst, bpf.PlaceLast, bpf.PlaceBefore, bpf.PlaceAfter}
	directions = []bpf.Direction{bpf.DirectionAuto, bpf.Ingress, bpf.Egress}
	chains     = []string{"", "prerouting", "input", "forward", "output", "postrouting"}
	families   = map[uint32]string{0: "", abi.FamilyIPv4: "ipv4", abi.FamilyIPv6: "ipv6"}
)

// setNumbers translates the enumerations.
func setNumbers(out *bpf.Target, t *abi.Target) (err error) {
	pick := func(what string, n uint32, known int) int {
		if err == nil && uint64(n) >= uint64(known) {
			err = fmt.Errorf("%w: target.%s has no number %d", session.ErrArgument, what, n)
		}
		return int(min(n, uint32(known-1)))
	}
	out.Mode = modes[pick("mode", t.Mode, len(modes))]
	out.Direction = directions[pick("direction", t.Direction, len(directions))]
	out.Chain = chains[pick("chain", t.Chain, len(chains))]
	out.Place = places[pick("place", t.Place, len(places))]
	family, ok := families[t.Family]
	if err == nil && !ok {
		err = fmt.Errorf("%w: target.family has no number %d", session.ErrArgument, t.Family)
	}
	out.Family = family
	return err
}

// setHandles looks up what the handles of a target name.
func (i *instance) setHandles(out *bpf.Target, t *abi.Target) error {
	if t.Map != 0 {
		m, err := i.s.Map(t.Map)
		if err != nil {
			return err
		}
		out.Map = m.Map
	}
	if t.Program != 0 {
		p, err := i.s.Program(t.Program)
		if err != nil {
			return err
		}
		out.Program = p
	}
	if t.Socket != 0 {
		f, err := i.s.File(t.Socket, session.Socket)
		if err != nil {
			return err
		}
		out.Socket = int(f.Fd())
	}
	if t.Anchor != 0 {
		l, err := i.s.Link(t.Anchor)
		if err != nil {
			return err
		}
		out.Anchor = l
	}
	return nil
}

// linkUpdate is link_update(link, program, expected).
func (i *instance) linkUpdate(c *call) error {
	l, p, expected := i.link(c), i.program(c), i.optionalProgram(c)
	if !c.ok() {
		return nil
	}
	return i.s.UpdateLink(l, p, expected)
}

// linkInfo is link_info(link, out, text, out_len).
func (i *instance) linkInfo(c *call) error {
	l, room, buf, outLen := i.link(c), c.room("link_info"), c.bytes("text"), c.outU32()
	if !c.ok() {
		return nil
	}
	if l.Detached() {
		return &fault{abi.CANCELED, fmt.Sprintf("info of %s: it was detached", l)}
	}
	info, err := l.Info()
	if err != nil {
		return err
	}
	out := abi.LinkInfo{ID: info.ID, Type: info.Type, ProgramID: info.Program, Interface: info.Interface, Cgroup: info.Cgroup}
	if info.ID != 0 {
		out.Kernel = uint32(max(info.Count, 1))
	}
	if l.Hook() == bpf.HookXDP {
		out.Mode = uint32(max(slices.Index(modes, bpf.XDPMode(l.Mode())), 0))
	}
	text := l.String()
	if l.Note() != "" {
		text += "; " + l.Note()
	}
	putText(buf, outLen, text)
	return putStruct(room, &out)
}

// linkDetach is link_detach(link).
func (i *instance) linkDetach(c *call) error {
	l := i.link(c)
	if !c.ok() {
		return nil
	}
	return l.Detach()
}

// iterOpen is iter_open(link, out).
func (i *instance) iterOpen(c *call) error {
	l, out := i.link(c), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenIter(l)
	return putHandle(out, h, err)
}

// iterRead is iter_read(iter, buf, out_len).
func (i *instance) iterRead(c *call) error {
	h := c.i32()
	c.err = i.s.Iter(h)
	buf, outLen := c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	n, err := i.s.ReadIter(c.ctx, h, buf)
	putU32(outLen, uint32(n))
	return err
}

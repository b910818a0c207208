package bpf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// loadStructOps loads struct_ops programs together with the maps that refer to them, as the library wants it.
func (l *loader) loadStructOps() error {
	coll := &ebpf.CollectionSpec{Programs: make(map[string]*ebpf.ProgramSpec), Maps: make(map[string]*ebpf.MapSpec), ByteOrder: l.spec.coll.ByteOrder}
	replace := make(map[string]*ebpf.Map)
	var names []string
	for name, m := range l.spec.coll.Maps {
		if m.Type == ebpf.StructOpsMap {
			coll.Maps[name] = m
			names = append(names, name)
		}
	}
	for _, name := range l.spec.order {
		p := l.spec.coll.Programs[name]
		if p.Type != ebpf.StructOps || l.spec.skip[name] {
			continue
		}
		// Each one alone first: that decides about counters and names the program that is wrong.
		prog, counted := l.loadCounting(p)
		coll.Programs[name] = counted
		if prog == nil {
			var err error
			if prog, err = l.newProgram(p, l.options(nil)); err != nil {
				return programError(p, err, l.opts)
			}
			coll.Programs[name] = p
		}
		prog.Close()
		for used, m := range l.mapsOf(p.Instructions, coll) {
			replace[used] = m
		}
	}
	c, err := ebpf.NewCollectionWithOptions(coll, l.options(replace))
	if err != nil {
		slices.Sort(names)
		return mapCreateError(names[0], l.spec.coll.Maps[names[0]], err)
	}
	defer c.Close()
	for name := range coll.Programs {
		l.progs[name] = c.DetachProgram(name)
	}
	for _, name := range names {
		l.maps[name] = c.DetachMap(name)
		l.order = append(l.order, name)
	}
	return nil
}

// fillProgramArrays stores the programs that the object declares as contents of its program arrays.
func (l *loader) fillProgramArrays() error {
	for name, spec := range l.spec.coll.Maps {
		if spec.Type != ebpf.ProgramArray || l.maps[name] == nil {
			continue
		}
		for _, kv := range spec.Contents {
			target, ok := kv.Value.(string)
			if !ok {
				continue
			}
			p := l.progs[target]
			if p == nil {
				return fmt.Errorf("fill map %s: program %q: %w; it was not loaded", name, target, ErrNotFound)
			}
			if err := l.maps[name].Put(kv.Key, p); err != nil {
				return fmt.Errorf("fill map %s with program %s: %w", name, target, err)
			}
		}
	}
	return nil
}

// finish turns what was loaded into the Object.
func (l *loader) finish() error {
	o := l.obj
	o.variables = l.spec.VariableSpecs()
	slices.Sort(l.order)
	for _, name := range l.order {
		m, err := newMap(o, name, l.maps[name])
		if err != nil {
			return err
		}
		m.memory = l.charges[name]
		l.setLoss(m)
		o.maps = append(o.maps, m)
	}
	for _, name := range l.spec.order {
		prog := l.progs[name]
		if prog == nil {
			continue
		}
		spec := l.spec.coll.Programs[name]
		hook, to := hookOf(spec)
		o.programs = append(o.programs, &Program{
			obj: o, name: name, section: spec.SectionName, spec: spec, prog: prog, fd: prog.FD(), hook: hook, attachTo: to, multi: l.byMulti(spec),
		})
	}
	if o.counters != nil {
		return o.counters.loaded()
	}
	return nil
}

// setLoss tells a map where its losses are counted, or why they are not.
func (l *loader) setLoss(m *Map) {
	kind, ok := kindOf(m.typ)
	if !ok {
		return
	}
	if shared := l.opts.Maps[m.name]; shared != nil {
		m.loss.why = errors.New("the map belongs to another object")
		return
	}
	if l.plan == nil {
		switch {
		case l.opts.NoLossCount:
			m.loss.why = errors.New("counting was switched off (NoLossCount)")
		case l.emits():
			m.loss.why = errors.New("this kernel has no addresses of map values in programs; needs Linux 5.2")
		}
		return
	}
	m.loss.counters, m.loss.slot, m.loss.unknown = l.obj.counters, l.plan.slots[m.name], kind
	m.loss.why = l.plan.excepted[m.name]
}

// undo gives up all that was loaded, newest first.
func (l *loader) undo() error {
	var errs []error
	for _, p := range l.progs {
		errs = append(errs, p.Close())
	}
	for _, name := range slices.Backward(l.order) {
		errs = append(errs, l.maps[name].Close())
	}
	if l.obj.counters != nil {
		errs = append(errs, l.obj.counters.release())
	}
	return errors.Join(errs...)
}

package bpf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// LoadOptions control [Spec.Load].
type LoadOptions struct {
	// NoLossCount leaves the programs exactly as they were written. Records that a ring buffer cannot take are then not counted:
	// [Ring.Lost] stays zero and [Ring.Counted] says so.
	NoLossCount bool
	// KernelBTF is the type information that CO-RE relocations look into, for kernels that come without (/sys/kernel/btf).
	// See [ReadKernelBTF]. Nil means the kernel's own, which is read once per process and only when it is needed.
	KernelBTF *btf.Spec
	// Maps replaces maps of the object by maps of other objects, by name. Type, sizes and flags must agree. The new object shares
	// them: they live as long as one of the objects. What programs of the new object lose in a shared ring is not counted.
	Maps map[string]*Map
	// PinPath is a directory of a mounted bpffs for maps that the object declares with LIBBPF_PIN_BY_NAME. Without it such maps
	// are not pinned.
	PinPath string
	// MapMemory is how many bytes of kernel memory the maps of this object may take, as far as it can be told from their sizes.
	// Maps of other objects do not count. Zero means no limit.
	MapMemory uint64
	// VerifierLog asks the kernel for its log also when it accepts a program; see [Program.VerifierLog].
	VerifierLog bool
}

// Load creates the maps and loads the programs, all or nothing. It needs at least Linux 4.14 with CAP_BPF (5.8) or
// CAP_SYS_ADMIN, and what each program's type needs on top. The caller owns the Object.
//
// Unless NoLossCount is set, programs that write to ring buffers or perf arrays are changed so that every record the kernel
// cannot store is counted; see [Ring.Lost] and [Map.Counted].
//
// Errors name the program or map and match [ErrVerifier], [ErrPermission], [ErrUnsupported] or [ErrMapMemory]; others unwrap to a
// [unix.Errno].
func (s *Spec) Load(opts LoadOptions) (*Object, error) {
	raiseMemlock()
	for name, t := range s.targets {
		if t != nil && !s.skip[name] {
			if !t.enter() {
				return nil, fmt.Errorf("load program %s: its target program %s: %w", name, t.name, os.ErrClosed)
			}
			defer t.leave()
		}
	}
	l := &loader{spec: s, opts: opts, cache: kernelTypes(), obj: &Object{}, maps: make(map[string]*ebpf.Map), progs: make(map[string]*ebpf.Program), charges: make(map[string]uint64)}
	if err := l.run(); err != nil {
		return nil, errors.Join(outOfFiles(err), l.undo())
	}
	l.obj.memory = l.charged
	return l.obj, nil
}

// loader is one call of Load.
type loader struct {
	spec  *Spec
	opts  LoadOptions
	cache *btf.Cache
	obj   *Object
	plan  *lossPlan

	maps  map[string]*ebpf.Map
	progs map[string]*ebpf.Program
	order []string // maps in the order they were made

	charged uint64            // of opts.MapMemory
	charges map[string]uint64 // of it, by map

	uprobesByMulti bool // see wantMulti
}

func (l *loader) run() error {
	coll := l.spec.coll
	l.uprobesByMulti = wantMulti(coll)
	names := slices.SortedFunc(maps.Keys(coll.Maps), func(a, b string) int { // maps of maps come last
		return cmp.Or(cmp.Compare(mapRank(coll.Maps[a].Type), mapRank(coll.Maps[b].Type)), cmp.Compare(a, b))
	})
	structOps := false
	for _, name := range names {
		if coll.Maps[name].Type == ebpf.StructOpsMap {
			if err := checkMapFlags(name, coll.Maps[name].Flags); err != nil { // all others: see checkMemory
				return fmt.Errorf("create %w", err)
			}
			structOps = true
			continue
		}
		if err := l.createMap(name, coll.Maps[name]); err != nil {
			return err
		}
	}
	if err := l.planCounting(); err != nil {
		return err
	}
	for _, name := range l.spec.order {
		p := coll.Programs[name]
		if l.spec.skip[name] || p.Type == ebpf.StructOps && structOps {
			continue
		}
		if err := l.loadProgram(p); err != nil {
			return err
		}
	}
	if structOps {
		if err := l.loadStructOps(); err != nil {
			return err
		}
	}
	if err := l.fillProgramArrays(); err != nil {
		return err
	}
	return l.finish()
}

func mapRank(t ebpf.MapType) int {
	switch t {
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		return 1
	}
	return 0
}

// createMap makes one map, with its first contents.
func (l *loader) createMap(name string, spec *ebpf.MapSpec) error {
	spec = spec.Copy()
	if spec.Pinning != ebpf.PinNone && l.opts.PinPath == "" {
		spec.Pinning = ebpf.PinNone
	}
	if spec.Type == ebpf.ProgramArray {
		spec.Contents = nil // filled when the programs are there
	}
	coll := &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{name: spec}, ByteOrder: l.spec.coll.ByteOrder}
	replace := make(map[string]*ebpf.Map)
	for _, kv := range spec.Contents {
		if inner, ok := kv.Value.(string); ok && l.maps[inner] != nil {
			coll.Maps[inner], replace[inner] = l.spec.coll.Maps[inner], l.maps[inner]
		}
	}
	if m := l.opts.Maps[name]; m != nil {
		if !m.use.enter() {
			return m.closedError(opLookup)
		}
		defer m.leave()
		replace[name] = m.m
	}
	if replace[name] == nil {
		if err := l.charge(name, spec); err != nil {
			return err
		}
	}
	l.setVariables(name, spec)
	c, err := ebpf.NewCollectionWithOptions(coll, ebpf.CollectionOptions{
		Maps: ebpf.MapOptions{PinPath: l.opts.PinPath}, MapReplacements: replace, Cache: l.cache,
	})
	if err != nil {
		return mapCreateError(name, spec, err)
	}
	defer c.Close()
	l.maps[name] = c.DetachMap(name)
	l.order = append(l.order, name)
	return nil
}

// setVariables writes the values that were set into the contents of a section of global variables.
func (l *loader) setVariables(section string, spec *ebpf.MapSpec) {
	if !isData(section) || len(spec.Contents) != 1 {
		return
	}
	data, ok := spec.Contents[0].Value.([]byte)
	if !ok {
		return
	}
	data = bytes.Clone(data)
	for _, v := range l.spec.coll.Variables {
		if v.SectionName == section && uint64(v.Offset) <= uint64(len(data)) {
			copy(data[v.Offset:], v.Value)
		}
	}
	spec.Contents = []ebpf.MapKV{{Key: spec.Contents[0].Key, Value: data}}
}

// planCounting decides which maps count lost records, and makes the hidden map if there are any.
func (l *loader) planCounting() error {
	if l.opts.NoLossCount {
		return nil
	}
	plan := newLossPlan(l.spec.coll, l.order)
	if plan == nil || !l.emits() {
		return nil
	}
	counters, err := newLossCounters(slotFirst + len(plan.slots))
	if err != nil {
		return nil // an old kernel; Counted says so
	}
	l.plan, l.obj.counters = plan, counters
	return nil
}

// emits reports whether any program to be loaded can lose records.
func (l *loader) emits() bool {
	for _, name := range l.spec.order {
		if l.spec.skip[name] {
			continue
		}
		insns := l.spec.coll.Programs[name].Instructions
		for i := range insns {
			if _, ok := emitOf(&insns[i]); ok {
				return true
			}
		}
	}
	return false
}

// loadCounting loads one program with counters. It returns nil if there is nothing to count or if it cannot be done; why is
// then noted in the plan.
func (l *loader) loadCounting(p *ebpf.ProgramSpec) (*ebpf.Program, *ebpf.ProgramSpec) {
	if l.plan == nil {
		return nil, nil
	}
	sites := l.plan.sites(p.Instructions)
	if len(sites) == 0 {
		return nil, nil
	}
	var why error
	choice := slices.ContainsFunc(sites, func(s site) bool { return len(s.others) > 0 })
	for _, code := range []counterCode{atCheck, withBranch, withoutBranch, withoutChoice} {
		if code == atCheck && !slices.ContainsFunc(sites, func(s site) bool { return s.emit.okIsSet }) {
			continue
		}
		if code == withoutChoice && !choice {
			break
		}
		insns, err := instrument(p.Instructions, sites, l.obj.counters.m.FD(), code)
		if err != nil {
			why = fmt.Errorf("program %s: %w", p.Name, err)
			break
		}
		counted := *p
		counted.Instructions = insns
		opts := l.options(nil)
		opts.Programs.LogDisabled = !l.opts.VerifierLog // writing a log takes far longer than checking
		prog, err := l.newProgram(&counted, opts)
		if err == nil {
			return prog, &counted
		}
		why = fmt.Errorf("program %s: the kernel does not take the code that counts: %w", p.Name, causeOf(err))
	}
	l.plan.except(sites, why)
	return nil, nil
}

// unknownSection is a section name that says nothing about the kind of program.
func unknownSection(program, section string) error {
	return fmt.Errorf("program %s: section %q: %w: unknown kind of program; use a name that libbpf knows, such as \"xdp\" or \"tp_btf/sched_process_exec\"",
		program, short(section), ErrType)
}

// loadProgram loads one program, with counters if it writes to rings and the verifier agrees.
func (l *loader) loadProgram(p *ebpf.ProgramSpec) error {
	if p.Type == ebpf.UnspecifiedProgram {
		return unknownSection(p.Name, p.SectionName)
	}
	if err := checkNotMarker(p.Type, p.Name); err != nil {
		return err
	}
	prog, _ := l.loadCounting(p)
	if prog == nil {
		var err error
		if prog, err = l.newProgram(p, l.options(nil)); err != nil {
			return programError(p, err, l.opts)
		}
	}
	l.progs[p.Name] = prog
	return nil
}

// newProgram loads one program with the maps that are there.
func (l *loader) newProgram(p *ebpf.ProgramSpec, opts ebpf.CollectionOptions) (*ebpf.Program, error) {
	if t := l.spec.targets[p.Name]; t != nil {
		onto := *p
		onto.AttachTarget = t.prog
		p = &onto
	}
	if p.Type == ebpf.LSM && p.AttachType == ebpf.AttachLSMCgroup {
		return l.newLSMCgroup(p)
	}
	coll := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{p.Name: l.asLoaded(p)}, Maps: make(map[string]*ebpf.MapSpec), ByteOrder: l.spec.coll.ByteOrder}
	opts.MapReplacements = l.mapsOf(p.Instructions, coll)
	c, err := ebpf.NewCollectionWithOptions(coll, opts)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.DetachProgram(p.Name), nil
}

// mapsOf adds the maps that a program uses to a collection and returns the ones to use instead of new ones.
func (l *loader) mapsOf(insns asm.Instructions, coll *ebpf.CollectionSpec) map[string]*ebpf.Map {
	replace := make(map[string]*ebpf.Map)
	for i := range insns {
		ins := &insns[i]
		if !ins.IsLoadFromMap() || ins.Reference() == "" {
			continue
		}
		if name := ins.Reference(); l.maps[name] != nil && replace[name] == nil {
			replace[name] = l.maps[name]
			coll.Maps[name] = asMade(l.spec.coll.Maps[name], l.maps[name])
		}
	}
	return replace
}

// asMade describes a map as it was made: the library compares the two, and would fill maps that hold maps a second time.
func asMade(spec *ebpf.MapSpec, m *ebpf.Map) *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: spec.Name, Type: m.Type(), KeySize: m.KeySize(), ValueSize: m.ValueSize(), MaxEntries: m.MaxEntries(), Flags: m.Flags()}
}

func (l *loader) options(replace map[string]*ebpf.Map) ebpf.CollectionOptions {
	o := ebpf.CollectionOptions{Cache: l.cache, MapReplacements: replace}
	o.Programs.KernelTypes = l.opts.KernelBTF
	if l.opts.VerifierLog {
		o.Programs.LogLevel = ebpf.LogLevelBranch | ebpf.LogLevelStats
	}
	return o
}

// spareFiles is how many descriptors a load needs at least beside those that it keeps.
const spareFiles = 16

// outOfFiles replaces what went wrong when no descriptors are left: whatever the kernel was asked then failed for that reason,
// also when it looked for features, and the error tells of something else.
func outOfFiles(err error) error {
	for range spareFiles {
		fd, ferr := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if ferr == unix.EMFILE || ferr == unix.ENFILE {
			return fmt.Errorf("load: %w; close objects that are not needed, or raise the limit (ulimit -n)", ferr)
		}
		if ferr == nil {
			defer unix.Close(fd)
		}
	}
	return err
}

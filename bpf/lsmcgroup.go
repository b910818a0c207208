package bpf

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// newLSMCgroup loads a program of section lsm_cgroup. The library cannot: it looks up the place for section lsm alone.
func (l *loader) newLSMCgroup(p *ebpf.ProgramSpec) (*ebpf.Program, error) {
	insns := slices.Clone(p.Instructions)
	if err := l.relocate(insns, p); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	for i := range insns {
		ins := &insns[i]
		if !ins.IsLoadFromMap() || ins.Reference() == "" {
			continue
		}
		m := l.maps[ins.Reference()]
		if m == nil {
			return nil, fmt.Errorf("program %s: map %q: %w", p.Name, short(ins.Reference()), ErrNotFound)
		}
		if err := ins.AssociateMap(m); err != nil {
			return nil, fmt.Errorf("program %s: map %q: %w", p.Name, short(ins.Reference()), err)
		}
	}
	var code bytes.Buffer
	if err := insns.Marshal(&code, l.spec.coll.ByteOrder); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Name, err)
	}
	return loadInsns(p, p.AttachType, code.Bytes(), ProgramOptions{License: p.License, VerifierLog: l.opts.VerifierLog})
}

// relocate makes the accesses to the kernel's structures fit this kernel (CO-RE).
func (l *loader) relocate(insns asm.Instructions, p *ebpf.ProgramSpec) error {
	var at []int
	var relocations []*btf.CORERelocation
	for i := range insns {
		if r := btf.CORERelocationMetadata(&insns[i]); r != nil {
			at, relocations = append(at, i), append(relocations, r)
		}
	}
	if len(relocations) == 0 {
		return nil
	}
	types := l.opts.KernelBTF
	if types == nil {
		var err error
		if types, err = kernelTypes().Kernel(); err != nil {
			return fmt.Errorf("read the kernel's types: %w (%w)", btf.ErrNotFound, err)
		}
	}
	fixups, err := btf.CORERelocate(relocations, []*btf.Spec{types}, l.spec.coll.ByteOrder, func(btf.Type) (btf.TypeID, error) {
		return 0, fmt.Errorf("numbers of its own types: %w", ErrFormat)
	})
	if err != nil {
		return err
	}
	for i := range fixups {
		if err := fixups[i].Apply(&insns[at[i]]); err != nil {
			return fmt.Errorf("instruction %d: %w", at[i], err)
		}
	}
	return nil
}

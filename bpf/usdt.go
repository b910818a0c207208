package bpf

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// attachUSDT runs a program at a static probe of a program or library: section usdt/PATH:PROVIDER:NAME, or a target. Counters
// that switch a probe on (semaphores) are kept by the kernel. Programs that read arguments through bpf_usdt_arg are refused: read
// them from the registers. Requires at least Linux 4.17 (4.20 for semaphores).
func attachUSDT(p *Program, t Target) (*Link, error) {
	if _, err := p.objectMap("__bpf_usdt_specs"); err == nil {
		return nil, &UnsupportedError{
			Feature: "arguments of usdt probes (bpf_usdt_arg)",
			Need:    "a program that reads them from the registers (PT_REGS_PARM), without bpf/usdt.bpf.h",
		}
	}
	t, x, err := uprobeTarget(p, t)
	if err != nil {
		return nil, err
	}
	defer x.close()
	provider, name, ok := strings.Cut(t.Symbol, ":")
	if !ok || provider == "" || name == "" {
		return nil, noTarget("probe", "libc.so.6:libc:setjmp")
	}
	probes, err := x.usdt()
	if err != nil {
		return nil, err
	}
	var places []probePoint
	for _, u := range probes {
		if u.provider == provider && u.name == name {
			places = append(places, probePoint{name: x.path, offset: u.offset, semaphore: u.semaphore})
		}
	}
	switch {
	case len(places) == 0:
		return nil, noSuch("%s has no probe %s:%s%s", x.path, short(provider), short(name), knownProbes(probes))
	case len(places) > maxMatches:
		return nil, badTarget("%s has probe %s:%s at %d places, more than %d", x.path, short(provider), short(name), len(places), maxMatches)
	}
	l := &Link{target: t.describe(p)}
	if err := l.addUprobes(p, places, t); err != nil {
		return nil, errors.Join(err, l.abandon(p))
	}
	return l, nil
}

func knownProbes(probes []usdtProbe) string {
	var names []string
	for _, u := range probes {
		names = append(names, u.provider+":"+u.name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return "; it has no usdt probes at all"
	}
	more := ""
	if len(names) > 8 {
		names, more = names[:8], ", ..."
	}
	for i, n := range names {
		names[i] = short(n)
	}
	return "; it has " + strings.Join(names, ", ") + more
}

// usdtProbe is one place of a static probe; offsets are in the file.
type usdtProbe struct {
	provider, name    string
	offset, semaphore uint64
}

// maxNotes bounds a section that a hostile file may have made huge.
const maxNotes = 16 << 20

// usdt reads the notes that <sys/sdt.h> leaves in a file.
func (x *executable) usdt() (probes []usdtProbe, err error) {
	defer recoverELF(x.path, &err)
	sec := x.file.Section(".note.stapsdt")
	if sec == nil {
		return nil, nil
	}
	if sec.Size > maxNotes {
		return nil, badTarget("%s: its list of usdt probes is larger than %d bytes", x.path, maxNotes)
	}
	b, err := sec.Data()
	if err != nil {
		return nil, badTarget("%s: %w", x.path, err)
	}
	var base uint64
	if s := x.file.Section(".stapsdt.base"); s != nil {
		base = s.Addr
	}
	return x.parseNotes(b, base)
}

func (x *executable) parseNotes(b []byte, base uint64) ([]usdtProbe, error) {
	const typeProbe = 3
	order, word := x.file.ByteOrder, 8
	if x.file.Class == elf.ELFCLASS32 {
		word = 4
	}
	addr := func(d []byte) uint64 {
		if word == 4 {
			return uint64(order.Uint32(d))
		}
		return order.Uint64(d)
	}
	var probes []usdtProbe
	for len(b) >= 12 {
		nameSize, descSize, typ := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint32(b[8:])
		desc := 12 + (nameSize+3)&^3
		end := desc + (descSize+3)&^3
		if desc+descSize > uint64(len(b)) {
			return nil, badTarget("%s: its list of usdt probes is damaged", x.path)
		}
		d := b[desc : desc+descSize]
		if typ == typeProbe && bytes.HasPrefix(b[12:desc], []byte("stapsdt\x00")) && len(d) >= 3*word {
			pc, linkBase, sem := addr(d), addr(d[word:]), addr(d[2*word:])
			texts := bytes.SplitN(d[3*word:], []byte{0}, 3)
			if len(texts) == 3 {
				if base != 0 {
					pc += base - linkBase // prelink moved the file
					if sem != 0 {
						sem += base - linkBase
					}
				}
				u, err := x.probe(string(texts[0]), string(texts[1]), pc, sem)
				if err != nil {
					return nil, err
				}
				probes = append(probes, u)
			}
		}
		b = b[min(end, uint64(len(b))):]
	}
	return probes, nil
}

func (x *executable) probe(provider, name string, pc, sem uint64) (usdtProbe, error) {
	off, ok := x.offset(pc)
	if !ok {
		return usdtProbe{}, badTarget("%s: probe %s:%s is at no code", x.path, provider, name)
	}
	u := usdtProbe{provider: provider, name: name, offset: off}
	if sem == 0 {
		return u, nil
	}
	for i, p := range x.file.Progs {
		if i == maxLoads {
			break
		}
		if p.Type == elf.PT_LOAD && sem >= p.Vaddr && sem-p.Vaddr < p.Memsz {
			u.semaphore = sem - p.Vaddr + p.Off
			return u, nil
		}
	}
	return u, fmt.Errorf("%s: probe %s:%s: %w", x.path, provider, name, badTarget("its counter is nowhere"))
}

package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/wasmfile"
)

// objectReport is one BPF object inside a module.
type objectReport struct {
	// Where says what it lies in: "data segment 0", or the name of a custom section. Offset is its place in the file.
	Where  string `json:"where"`
	Offset uint64 `json:"offset"`
	// Size is in bytes.
	Size int `json:"size"`
	// Error says what is wrong with the object; then the rest is empty.
	Error   string `json:"error,omitempty"`
	License string `json:"license"`
	// NeedsBTF tells that the kernel must have its types: CO-RE, or a hook that is found by them.
	NeedsBTF bool `json:"needs_btf"`
	// OldestKernel is the first Linux version that has all that is used; Because names what asks for it.
	OldestKernel string          `json:"oldest_kernel"`
	Because      string          `json:"because"`
	Programs     []programReport `json:"programs"`
	Maps         []mapReport     `json:"maps"`
}

type programReport struct {
	Name     string   `json:"name"`
	Section  string   `json:"section"`
	Type     string   `json:"type"`
	Hook     string   `json:"hook"`
	AttachTo string   `json:"attach_to"`
	Insns    int      `json:"instructions"`
	NeedsBTF bool     `json:"needs_btf"`
	Optional bool     `json:"optional"`
	Helpers  []string `json:"helpers"`
	Kfuncs   []string `json:"kfuncs"`
	Maps     []string `json:"maps"`
}

type mapReport struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	KeySize    uint32   `json:"key_size"`
	ValueSize  uint32   `json:"value_size"`
	MaxEntries uint32   `json:"max_entries"`
	Flags      []string `json:"flags"`
	// Internal maps hold global variables.
	Internal bool `json:"internal"`
}

// maxObjects bounds how many objects are looked for in one module.
const maxObjects = 64

// customPrefix starts the names of custom sections that hold an object.
const customPrefix = "bpf.obj."

// embedded is one BPF object inside a module.
type embedded struct {
	where  string
	offset uint64
	elf    []byte
	err    error // why it cannot be read
}

// embeddedObjects finds the BPF objects in a module, in the order of the file.
func embeddedObjects(f *wasmfile.File) []embedded {
	var out []embedded
	for i, d := range f.Data {
		where := fmt.Sprintf("data segment %d", i)
		for at := 0; len(out) < maxObjects; {
			n := bytes.Index(d.Bytes[at:], []byte(elfMagic))
			if n < 0 {
				break
			}
			at += n
			length, ok, err := objectLength(d.Bytes[at:])
			switch {
			case !ok:
				at += len(elfMagic)
				continue
			case err != nil:
				out = append(out, embedded{where: where, offset: d.Offset + uint64(at), err: err})
				at += len(elfMagic)
			default:
				out = append(out, embedded{where: where, offset: d.Offset + uint64(at), elf: d.Bytes[at : at+length]})
				at += length
			}
		}
	}
	for _, s := range f.Custom {
		if strings.HasPrefix(s.Name, customPrefix) && len(out) < maxObjects {
			out = append(out, embedded{where: "custom section " + s.Name, offset: s.Offset, elf: s.Bytes})
		}
	}
	slices.SortStableFunc(out, func(a, b embedded) int { return cmp.Compare(a.offset, b.offset) })
	return out
}

// bpfObjects describes the BPF objects in a module.
func bpfObjects(f *wasmfile.File) []objectReport {
	out := []objectReport{}
	for _, e := range embeddedObjects(f) {
		if e.err != nil {
			out = append(out, objectReport{Where: e.where, Offset: e.offset, Error: e.err.Error()})
			continue
		}
		out = append(out, reportObject(e.where, e.offset, e.elf))
	}
	return out
}

const (
	elfMagic   = "\x7fELF"
	elfHeader  = 64
	elfSection = 64
	machineBPF = 247
	noBits     = 8 // SHT_NOBITS: a section without bytes in the file
)

// objectLength says how long the ELF file at the start of b is, by its section header table and its sections. ok is
// false if it is no BPF object.
func objectLength(b []byte) (length int, ok bool, err error) {
	if len(b) < elfHeader || b[4] != 2 || b[5] != 1 && b[5] != 2 {
		return 0, false, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[5] == 2 {
		order = binary.BigEndian
	}
	if order.Uint16(b[18:]) != machineBPF {
		return 0, false, nil
	}
	table, count := order.Uint64(b[40:]), uint64(order.Uint16(b[60:]))
	if entry := order.Uint16(b[58:]); count > 0 && entry != elfSection {
		return 0, true, fmt.Errorf("damaged: section headers of %d bytes, not %d", entry, elfSection)
	}
	size := uint64(len(b))
	if table > size || count*elfSection > size-table {
		return 0, true, fmt.Errorf("damaged or cut off: its section headers end beyond the %d bytes that are there", len(b))
	}
	end := max(table+count*elfSection, elfHeader)
	for i := range count {
		header := b[table+i*elfSection:]
		if order.Uint32(header[4:]) == noBits {
			continue
		}
		at, n := order.Uint64(header[24:]), order.Uint64(header[32:])
		if at > size || n > size-at {
			return 0, true, fmt.Errorf("damaged or cut off: section %d ends beyond the %d bytes that are there", i, len(b))
		}
		end = max(end, at+n)
	}
	return int(end), true, nil
}

// reportObject describes an object, or says what is wrong with it.
func reportObject(where string, offset uint64, elf []byte) objectReport {
	o := objectReport{Where: where, Offset: offset, Size: len(elf), Programs: []programReport{}, Maps: []mapReport{}}
	spec, err := bpf.Open(bytes.NewReader(elf))
	if err != nil {
		o.Error = strings.ReplaceAll(strings.TrimPrefix(err.Error(), "BPF object: "), "\n", " ")
		return o
	}
	needs := kernel.Needs{BTF: spec.NeedsBTF()}
	o.NeedsBTF = needs.BTF
	for _, p := range spec.Programs() {
		o.License = p.License
		o.Programs = append(o.Programs, programReport{
			Name: p.Name, Section: p.Section, Type: typeName(p.Type.String()), Hook: string(p.Hook), AttachTo: p.AttachTo, Insns: p.Insns,
			NeedsBTF: p.NeedsBTF, Optional: p.Optional,
			Helpers: list(p.Helpers), Kfuncs: list(p.Kfuncs), Maps: list(p.Maps),
		})
		if p.Optional {
			continue
		}
		needs.Programs = append(needs.Programs, p.Type)
		needs.Hooks = append(needs.Hooks, string(p.Hook))
		needs.Helpers = append(needs.Helpers, p.Helpers...)
		needs.Kfuncs = needs.Kfuncs || len(p.Kfuncs) > 0
	}
	for _, m := range spec.Maps() {
		o.Maps = append(o.Maps, mapReport{
			Name: m.Name, Type: typeName(m.Type.String()), KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries,
			Flags: mapFlags(m.Flags), Internal: m.Internal,
		})
		needs.Maps = append(needs.Maps, m.Type)
		needs.GlobalData = needs.GlobalData || m.Internal
	}
	o.OldestKernel, o.Because = kernel.OldestKernel(needs)
	return o
}

// typeName writes a type for people; cilium/ebpf's name for none is long.
func typeName(s string) string {
	if s == ebpf.UnspecifiedProgram.String() {
		return "unknown"
	}
	return s
}

// list makes JSON write an empty list rather than null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// mapFlagNames are the kernel's BPF_F_* flags of maps, by bit.
var mapFlagNames = []string{
	"NO_PREALLOC", "NO_COMMON_LRU", "NUMA_NODE", "RDONLY", "WRONLY", "STACK_BUILD_ID", "ZERO_SEED", "RDONLY_PROG",
	"WRONLY_PROG", "CLONE", "MMAPABLE", "PRESERVE_ELEMS", "INNER_MAP", "LINK", "PATH_FD", "VTYPE_BTF_OBJ_FD", "TOKEN_FD",
	"SEGV_ON_FAULT", "NO_USER_CONV",
}

func mapFlags(flags uint32) []string {
	out := []string{}
	for bit := range 32 {
		switch {
		case flags&(1<<bit) == 0:
		case bit < len(mapFlagNames):
			out = append(out, mapFlagNames[bit])
		default:
			out = append(out, fmt.Sprintf("bit %d", bit))
		}
	}
	return out
}

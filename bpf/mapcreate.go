package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// MapOptions describe a map for [CreateMap].
type MapOptions struct {
	// Name is for people; the kernel keeps the first 15 characters, without those it does not take. Empty means the type's name.
	Name string
	// Type is the kernel's map type. Maps of type StructOpsMap come only with an object.
	Type ebpf.MapType
	// KeySize and ValueSize are in bytes, as the type wants them. Maps whose values are descriptors may leave ValueSize zero.
	KeySize, ValueSize uint32
	// MaxEntries is the capacity; of a ring buffer, its size in bytes, a power of two of at least one page; of an arena, pages.
	// Zero for a perf array or a CPU map means one entry for each possible CPU. Storage types want zero.
	MaxEntries uint32
	// Flags are the kernel's BPF_F_* map flags.
	Flags uint32
	// Inner is an example of the maps that an array or hash of maps will hold; only its type, sizes and flags count.
	Inner *Map
	// MapMemory is how many bytes of kernel memory the map may take, as far as it can be told from its sizes. Zero means no limit.
	MapMemory uint64
}

// CreateMap makes a map that belongs to no [Object]: the caller owns it and closes it with [Map.Close]. It needs CAP_BPF (5.8) or
// CAP_SYS_ADMIN, maps of the network CAP_NET_ADMIN too, and a kernel that knows the type.
//
// Errors name the map, its type and its sizes and match [ErrPermission], [ErrUnsupported], [ErrMapMemory] or [ErrType]; others
// unwrap to a [unix.Errno] where the kernel gave one.
func CreateMap(o MapOptions) (*Map, error) {
	name := cmp.Or(o.Name, o.Type.String())
	spec := &ebpf.MapSpec{
		Name: name, Type: o.Type, KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries, Flags: o.Flags,
	}
	if o.Type == ebpf.StructOpsMap {
		return nil, fmt.Errorf("create map %s: %w: maps of struct_ops come only with an object", name, ErrType)
	}
	if err := completeSpec(spec); err != nil {
		return nil, fmt.Errorf("create map %s: %w", name, err)
	}
	need, err := checkMemory(name, spec, o.MapMemory)
	if err != nil {
		return nil, err
	}
	raiseMemlock()
	var km *ebpf.Map
	if o.Type == ebpf.ArrayOfMaps || o.Type == ebpf.HashOfMaps {
		km, err = createOuter(spec, o.Inner)
	} else {
		km, err = ebpf.NewMap(spec)
	}
	if err != nil {
		return nil, outOfFiles(mapCreateError(name, spec, err))
	}
	m, err := adoptMap(name, km)
	if err != nil {
		return nil, err
	}
	m.memory = need
	if _, ok := kindOf(m.typ); ok {
		m.loss.why = errors.New("the map was made without the programs that write to it")
	}
	return m, nil
}

// errForeign is why losses of an opened map are not counted.
var errForeign = errors.New("the map was opened, not made with the programs that write to it")

// adoptMap wraps a map that belongs to no object. It owns km, also when it fails.
func adoptMap(name string, km *ebpf.Map) (*Map, error) {
	m, err := newMap(nil, name, km)
	if err != nil {
		return nil, errors.Join(err, km.Close())
	}
	if _, ok := kindOf(m.typ); ok {
		m.loss.why = errForeign
	}
	return m, nil
}

// openMapID opens a map by the kernel's number. An empty name means the map's own.
func openMapID(id ebpf.MapID, name string) (*Map, error) {
	what := fmt.Sprintf("open map number %d", id)
	km, err := ebpf.NewMapFromID(id)
	switch {
	case errors.Is(err, unix.EPERM):
		if e := lacks(what, []kernel.Cap{kernel.CapSysAdmin}, err); e != nil {
			return nil, e
		}
		return nil, &PermissionError{What: what, Capability: kernel.CapSysAdmin.String(), Cause: err}
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("%s: %w: it is gone: %w", what, ErrNotFound, err)
	case err != nil:
		return nil, outOfFiles(fmt.Errorf("%s: %w", what, err))
	}
	if name == "" {
		name = what[len("open "):]
		if info, err := km.Info(); err == nil && info.Name != "" {
			name = info.Name
		}
	}
	return adoptMap(name, km)
}

// completeSpec fills in what follows from the type.
func completeSpec(spec *ebpf.MapSpec) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count the possible CPUs: %w", err)
	}
	switch spec.Type {
	case ebpf.PerfEventArray, ebpf.CPUMap:
		if spec.MaxEntries == 0 {
			spec.MaxEntries = uint32(cpus)
		}
	case ebpf.SkStorage, ebpf.InodeStorage, ebpf.TaskStorage, ebpf.CgroupStorage:
		spec.Flags |= unix.BPF_F_NO_PREALLOC
		spec.Key, spec.Value = storageTypes(spec.ValueSize)
	case ebpf.LPMTrie:
		spec.Flags |= unix.BPF_F_NO_PREALLOC
	}
	if spec.ValueSize == 0 && holdsFDs(spec.Type) {
		spec.ValueSize = 4
	}
	return nil
}

// storageTypes are the types that the kernel wants to be told for storage: a descriptor as the key, and bytes.
func storageTypes(valueSize uint32) (key, value btf.Type) {
	descriptor := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	bytes := &btf.Array{Index: &btf.Int{Name: "unsigned int", Size: 4}, Type: &btf.Int{Name: "unsigned char", Size: 1}, Nelems: valueSize}
	return descriptor, &btf.Struct{Name: "value", Size: valueSize, Members: []btf.Member{{Name: "bytes", Type: bytes}}}
}

// checkMemory returns what a map is charged, or why it may not be made.
func checkMemory(name string, spec *ebpf.MapSpec, limit uint64) (uint64, error) {
	if err := checkMapFlags(name, spec.Flags); err != nil {
		return 0, fmt.Errorf("create %w", err)
	}
	if spec.MaxEntries > math.MaxInt32 {
		// Kernels up to 6.18 at least walk per-CPU arrays with a signed index, and crash here.
		return 0, fmt.Errorf("create map %s: max_entries %d is more than the kernel can take: %w", name, spec.MaxEntries, unix.E2BIG)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return 0, fmt.Errorf("create map %s: count the possible CPUs: %w", name, err)
	}
	need := mapMemory(spec, cpus)
	if limit != 0 && need > limit {
		return 0, memoryError(name, need, limit, limit)
	}
	return need, nil
}

// createAttr is the part of union bpf_attr that BPF_MAP_CREATE uses, as Linux 4.15 has it.
type createAttr struct {
	mapType, keySize, valueSize, maxEntries, flags uint32

	innerFD, numaNode uint32
	name              [unix.BPF_OBJ_NAME_LEN]byte
}

// createOuter makes a map of maps like the inner one. The library would make another inner map first, which takes its memory again.
func createOuter(spec *ebpf.MapSpec, inner *Map) (*ebpf.Map, error) {
	if inner == nil {
		return nil, fmt.Errorf("%w: a map of maps needs an example of what it will hold (Inner)", ErrType)
	}
	if !inner.use.enter() {
		return nil, inner.closedError(opLookup)
	}
	defer inner.leave()
	attr := createAttr{
		mapType: uint32(spec.Type), keySize: spec.KeySize, valueSize: spec.ValueSize, maxEntries: spec.MaxEntries, flags: spec.Flags,
		innerFD: inner.fd, name: mapKernelName(spec.Name),
	}
	fd, err := bpfCall(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, err
	}
	return ebpf.NewMapFromFD(fd)
}

// mapKernelName is the part of a name that the kernel takes.
func mapKernelName(name string) (out [unix.BPF_OBJ_NAME_LEN]byte) {
	n := 0
	for i := 0; i < len(name) && n < len(out)-1; i++ {
		c := name[i]
		if c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			out[n] = c
			n++
		}
	}
	return out
}

// Close gives up a map that belongs to no object: one of [CreateMap] and of the functions that open maps. The kernel keeps it as
// long as a program, another map, a pin or another process holds it. It is idempotent and may be called while the map is in
// use. A map of an object goes with the object: for that one the error matches [ErrType].
func (m *Map) Close() error {
	if m.obj != nil {
		return fmt.Errorf("close map %s: %w: it belongs to an object, which closes it", m.name, ErrType)
	}
	return m.close()
}

// Memory returns how many bytes of kernel memory the map was charged when it was made, as far as it can be told from its sizes.
// It is zero for maps that were opened and for maps of an object that was loaded without a limit.
func (m *Map) Memory() uint64 { return m.memory }

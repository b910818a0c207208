package session

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// The flags of a per-CPU access, as Linux 6.19 defines them: the CPU's number is in the upper 32 bits.
const (
	FlagCPU     = abi.OneCPU
	FlagAllCPUs = abi.AllCPUs
)

// ErrRange says that a number is out of range.
var ErrRange = fmt.Errorf("out of range: %w", unix.ERANGE)

const frameHeader = bpf.FrameHeader

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// Lookup copies the value of a key. For per-CPU maps value has all CPUs' values, or one with FlagCPU.
func (s *Session) Lookup(m *Map, key, value []byte, flags uint64) error {
	if m.keyFDs {
		return s.withOwner(m, key, func(key []byte) error { return m.LookupInto(key, value, flags) })
	}
	if m.PerCPU() && flags&FlagCPU != 0 {
		return lookupCPU(m, key, value, flags)
	}
	return m.LookupInto(key, value, flags)
}

// Update sets the value of a key. For per-CPU maps value has all CPUs' values, or one with FlagCPU (for that CPU alone) or
// FlagAllCPUs.
func (s *Session) Update(m *Map, key, value []byte, flags uint64) error {
	if m.keyFDs {
		return s.withOwner(m, key, func(key []byte) error { return m.Update(key, value, flags) })
	}
	if err := s.mayRedirect(m, value); err != nil {
		return err
	}
	switch {
	case m.valueFDs:
		return s.putHandle(m, key, value, flags)
	case m.PerCPU() && flags&(FlagCPU|FlagAllCPUs) != 0:
		return updateCPU(m, key, value, flags)
	}
	return m.Update(key, value, flags)
}

// UpdateBatch sets many values. Device maps take them one by one, because each is asked for.
func (s *Session) UpdateBatch(m *Map, keys, values []byte, flags uint64) (int, error) {
	if isDeviceMap(m) {
		return 0, fmt.Errorf("update many in map %s: %w: a %s takes one at a time", m.Name(), bpf.ErrType, m.Type())
	}
	return m.UpdateBatch(keys, values, flags)
}

func isDeviceMap(m *Map) bool { return m.Type() == ebpf.DevMap || m.Type() == ebpf.DevMapHash }

// mayRedirect asks for the interface whose number goes into a device map.
func (s *Session) mayRedirect(m *Map, value []byte) error {
	if !isDeviceMap(m) || len(value) < 4 {
		return nil
	}
	index := int(binary.NativeEndian.Uint32(value))
	dev, err := net.InterfaceByIndex(index)
	if err != nil {
		return nil // 0 clears the entry, and what does not exist is refused by the kernel
	}
	return s.May(policy.Action{Kind: policy.Redirect, Name: dev.Name})
}

// Delete removes a key.
func (s *Session) Delete(m *Map, key []byte) error {
	if m.keyFDs {
		return s.withOwner(m, key, m.Delete)
	}
	return m.Delete(key)
}

// LookupAndDelete copies the value of a key and removes it.
func (s *Session) LookupAndDelete(m *Map, key, value []byte, flags uint64) error {
	if m.keyFDs {
		return fmt.Errorf("%w: the keys of a %s are handles, which have no such operation", bpf.ErrType, m.Type())
	}
	return m.LookupAndDelete(key, value, flags)
}

// withOwner replaces the handle in a key of a storage map by the descriptor that the kernel wants.
func (s *Session) withOwner(m *Map, key []byte, f func(key []byte) error) error {
	if len(key) != 4 {
		return fmt.Errorf("map %s: %w: key of %d bytes, not 4", m.Name(), bpf.ErrSize, len(key))
	}
	var kind FileKind
	switch m.Type() {
	case ebpf.SkStorage:
		kind = Socket
	case ebpf.TaskStorage:
		kind = Process
	case ebpf.InodeStorage:
		kind = Path
	case ebpf.CgroupStorage:
		kind = Cgroup
	default:
		return fmt.Errorf("map %s: %w: no handle can stand for the keys of a %s", m.Name(), bpf.ErrType, m.Type())
	}
	owner, err := s.File(int32(le32(key)), kind)
	if err != nil {
		return err
	}
	return m.WithOwnerFD(int(owner.Fd()), f)
}

// putHandle stores what a handle in the value names.
func (s *Session) putHandle(m *Map, key, value []byte, flags uint64) error {
	size := m.ValueSize()
	if len(value) != size {
		return fmt.Errorf("update in map %s: %w: value of %d bytes, not %d", m.Name(), bpf.ErrSize, len(value), size)
	}
	if size < 4 {
		return fmt.Errorf("update in map %s: %w: values of %d bytes hold no handle", m.Name(), bpf.ErrType, size)
	}
	handle := int32(le32(value))
	s.budget.keep()
	switch m.Type() {
	case ebpf.ProgramArray:
		p, err := s.Program(handle)
		if err != nil {
			return err
		}
		return m.PutProgram(key, p, flags)
	case ebpf.ArrayOfMaps, ebpf.HashOfMaps:
		inner, err := s.Map(handle)
		if err != nil {
			return err
		}
		return m.PutMap(key, inner.Map, flags)
	case ebpf.DevMap, ebpf.DevMapHash, ebpf.CPUMap:
		var p *bpf.Program
		if size >= 8 && le32(value[4:]) != 0 {
			var err error
			if p, err = s.Program(int32(le32(value[4:]))); err != nil {
				return err
			}
		}
		// The number is the kernel's own, in its byte order.
		return m.PutForward(key, value[:4], p, flags)
	case ebpf.SockMap, ebpf.SockHash, ebpf.ReusePortSockArray, ebpf.XSKMap:
		f, err := s.File(handle, Socket)
		if err != nil {
			return err
		}
		return m.PutSocket(key, int(f.Fd()), flags)
	case ebpf.CGroupArray:
		f, err := s.File(handle, Cgroup)
		if err != nil {
			return err
		}
		return m.Update(key, binary.NativeEndian.AppendUint32(nil, uint32(f.Fd())), flags)
	case ebpf.PerfEventArray:
		return fmt.Errorf("map %s: %w: the host puts its buffers into a perf array when it is read; a guest has none", m.Name(), bpf.ErrType)
	}
	return fmt.Errorf("map %s: %w: no handle can stand for the values of a %s", m.Name(), bpf.ErrType, m.Type())
}

// stride is the distance between two CPUs' values in an entry.
func stride(m *Map) int { return (m.CPUValueSize() + 7) &^ 7 }

// lookupCPU copies one CPU's value.
func lookupCPU(m *Map, key, value []byte, flags uint64) error {
	if err := oneCPU(m, value, flags); err != nil {
		return err
	}
	all := make([]byte, m.ValueSize())
	if err := m.LookupInto(key, all, flags&abi.UpdateLock); err != nil {
		return err
	}
	copy(value, all[int(flags>>32)*stride(m):])
	return nil
}

// oneCPU checks a per-CPU access with flags.
func oneCPU(m *Map, value []byte, flags uint64) error {
	if n := m.CPUValueSize(); len(value) != n {
		return fmt.Errorf("map %s: %w: one CPU's value has %d bytes, not %d", m.Name(), bpf.ErrSize, n, len(value))
	}
	if cpu, n := flags>>32, m.ValueSize()/stride(m); flags&FlagCPU != 0 && cpu >= uint64(n) {
		return fmt.Errorf("map %s: CPU %d of %d: %w", m.Name(), cpu, n, ErrRange)
	}
	return nil
}

// updateCPU sets the value of one CPU, which is not atomic on kernels before 6.19, or of all.
func updateCPU(m *Map, key, value []byte, flags uint64) error {
	if err := oneCPU(m, value, flags); err != nil {
		return err
	}
	all := make([]byte, m.ValueSize())
	if flags&FlagAllCPUs != 0 {
		for at := 0; at < len(all); at += stride(m) {
			copy(all[at:], value)
		}
		return m.Update(key, all, flags&3)
	}
	// The other CPUs keep theirs.
	if err := m.LookupInto(key, all, 0); err != nil && !isMissing(err) {
		return err
	}
	copy(all[int(flags>>32)*stride(m):], value)
	return m.Update(key, all, flags&3)
}

// NextKey answers the key that follows key; an empty key asks for the first one.
func (s *Session) NextKey(m *Map, key, next []byte) error {
	if m.keyFDs || m.KeySize() == 0 {
		return fmt.Errorf("map %s: %w: a %s has no keys to go through", m.Name(), bpf.ErrType, m.Type())
	}
	if len(key) == 0 {
		key = nil
	}
	return m.NextKeyInto(key, next)
}

// keyless refuses maps with keys.
func keyless(m *Map, step string, types ...ebpf.MapType) error {
	for _, t := range types {
		if m.Type() == t {
			return nil
		}
	}
	return fmt.Errorf("%s %s: %w: it is a %s", step, m.Name(), bpf.ErrType, m.Type())
}

// Push appends a value to a queue or a stack, or adds it to a Bloom filter.
func (s *Session) Push(m *Map, value []byte, flags uint64) error {
	if err := keyless(m, "push to map", ebpf.Queue, ebpf.Stack, ebpf.BloomFilter); err != nil {
		return err
	}
	return m.Update(nil, value, flags)
}

// Pop takes the next value of a queue or a stack.
func (s *Session) Pop(m *Map, value []byte) error {
	if err := keyless(m, "pop from map", ebpf.Queue, ebpf.Stack); err != nil {
		return err
	}
	return m.LookupAndDelete(nil, value, 0)
}

// Peek copies the next value of a queue or a stack, or asks a Bloom filter for the value.
func (s *Session) Peek(m *Map, value []byte) error {
	if err := keyless(m, "peek into map", ebpf.Queue, ebpf.Stack, ebpf.BloomFilter); err != nil {
		return err
	}
	return m.LookupInto(nil, value, 0)
}

package bpf

import (
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
)

// readers are the maps that have a reader in this process, by the kernel's number. Several [Map] values may mean the same map: it
// was given to another object, opened from a pin or shared under a name. Two readers would take each other's records.
var readers readerSet

type readerSet struct {
	mu  sync.Mutex
	ids map[uint64]bool
}

// take reserves a map. It fails if somebody reads it.
func (s *readerSet) take(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return false
	}
	if s.ids == nil {
		s.ids = make(map[uint64]bool)
	}
	s.ids[id] = true
	return true
}

// give ends what take began.
func (s *readerSet) give(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ids, id)
}

// kernelMapID is the kernel's number of a map (Linux 4.13). A number is not used again while a descriptor of the map is open. On
// kernels without numbers it is one of this process alone, which tells Map values apart but not maps.
func kernelMapID(m *ebpf.Map) uint64 {
	var info struct{ typ, id, keySize, valueSize, maxEntries, flags uint32 }
	err := objectInfo(m.FD(), unsafe.Pointer(&info), unsafe.Sizeof(info))
	if err != nil || info.id == 0 {
		return 1<<32 | uint64(uint32(m.FD()))
	}
	return uint64(info.id)
}

package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// waiterFiles is how many descriptors everything takes that waits for records.
const waiterFiles = 2

// openReader opens a reader of a ring buffer or a perf array, within the budget. give gives back what it takes, after the reader is
// closed.
func (s *Session) openReader(m *Map, o SourceOptions) (r reader, give func(), err error) {
	c := cost{rings: 1, files: waiterFiles + 1} // and one of the map, which may be closed first
	if m.Type() == ebpf.PerfEventArray {
		cpus, err := readCPUs(m)
		if err != nil {
			return nil, nil, err
		}
		c[files] += cpus
	}
	if err := s.budget.take(c); err != nil {
		return nil, nil, fmt.Errorf("read map %s: %w", m.Name(), err)
	}
	memory, err := s.perfMemory(m, o.BufferSize)
	if err == nil {
		if r, err = readerOf(m.Map, o); err != nil {
			s.budget.giveMemory(memory)
		}
	}
	if err != nil {
		s.budget.give(c)
		return nil, nil, err
	}
	s.budget.keep() // it holds the map
	return r, func() {
		s.budget.giveMemory(memory)
		s.budget.give(c)
	}, nil
}

// OpenReader opens a reader of a ring buffer or a perf array, which the caller closes.
func (s *Session) OpenReader(m *Map) (bpf.Events, error) {
	r, give, err := s.openReader(m, SourceOptions{})
	if err != nil {
		return nil, err
	}
	return &charged{reader: r, give: sync.OnceFunc(give)}, nil
}

// charged is a reader that gives back what it takes when it is closed.
type charged struct {
	reader
	give func()
}

// Close implements [bpf.Events].
func (c *charged) Close() error {
	err := c.reader.Close()
	c.give()
	return err
}

func readerOf(m *bpf.Map, o SourceOptions) (reader, error) {
	if m.Type() == ebpf.PerfEventArray {
		p, err := bpf.OpenPerf(m, bpf.PerfOptions{BytesPerCPU: int(min(o.BufferSize, 1<<30))})
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	r, err := bpf.OpenRing(m)
	if err != nil {
		return nil, err
	}
	return r, nil
}

var errTaken = errors.New("taken")

// readCut takes one record that is too long for dst, and cuts it.
func (s *source) readCut(dst []byte, number uint16) (used, records int, err error) {
	room := len(dst) &^ 7
	if room <= frameHeader {
		return 0, 0, &bpf.RecordSizeError{Need: 2 * frameHeader}
	}
	n, err := s.r.Drain(1, func(rec []byte) error {
		size := min(len(rec), room-frameHeader)
		flags := uint16(0)
		if size < len(rec) {
			flags = abi.FrameTruncated
		}
		binary.LittleEndian.PutUint32(dst, uint32(size))
		binary.LittleEndian.PutUint16(dst[4:], number)
		binary.LittleEndian.PutUint16(dst[6:], flags)
		end := frameHeader + copy(dst[frameHeader:room], rec[:size])
		used = (end + 7) &^ 7
		clear(dst[end:used])
		return errTaken
	})
	if errors.Is(err, errTaken) {
		err = nil
	}
	return used, n, err
}

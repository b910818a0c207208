package session

import (
	"encoding/binary"
	"errors"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// openReader opens a reader of a ring buffer or a perf array.
func openReader(m *bpf.Map, o SourceOptions) (reader, error) {
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

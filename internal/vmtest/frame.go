package vmtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// The guest speaks to the host over a second serial port in frames, so that kernel messages never mix with it: one byte of type, a
// big-endian uint16 length, that many bytes.
const (
	frameReady  = 'r' // init is up
	frameStart  = 's' // a program starts; uint32 number
	frameOutput = 'o' // what the program says
	frameExit   = 'x' // the program ended; uint32 status
	frameDone   = 'd' // all programs have ended
	frameFail   = 'f' // init cannot go on; text
	maxFrame    = 4096
)

// frames writes frames.
type frames struct {
	w io.Writer

	// mu keeps frames whole.
	mu sync.Mutex
}

func (f *frames) send(typ byte, p []byte) error {
	for first := true; first || len(p) > 0; first = false {
		n := min(len(p), maxFrame)
		b := append([]byte{typ}, 0, 0)
		binary.BigEndian.PutUint16(b[1:], uint16(n))
		b = append(b, p[:n]...)
		f.mu.Lock()
		_, err := f.w.Write(b)
		f.mu.Unlock()
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (f *frames) sendNumber(typ byte, n int) error {
	return f.send(typ, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// Write sends what a program says.
func (f *frames) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return len(p), f.send(frameOutput, p)
}

// readFrame reads one frame into buf.
func readFrame(r io.Reader, buf []byte) (typ byte, p []byte, err error) {
	var head [3]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(head[1:]))
	switch head[0] {
	case frameReady, frameStart, frameOutput, frameExit, frameDone, frameFail:
	default:
		return 0, nil, fmt.Errorf("read from the guest: frame of unknown type %#x", head[0])
	}
	if n > len(buf) {
		return 0, nil, fmt.Errorf("read from the guest: frame of %d bytes is too long", n)
	}
	_, err = io.ReadFull(r, buf[:n])
	return head[0], buf[:n], err
}

func number(p []byte) (int, error) {
	if len(p) != 4 {
		return 0, fmt.Errorf("read from the guest: %d bytes for a number", len(p))
	}
	return int(binary.BigEndian.Uint32(p)), nil
}

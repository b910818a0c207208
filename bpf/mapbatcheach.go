package bpf

import (
	"encoding/binary"
	"errors"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// maxMissed bounds how many keys without a value are passed over in one call: those that vanish between two calls of the kernel, and
// the empty places of arrays of programs, sockets and devices. It is some tens of milliseconds.
const maxMissed = 1 << 16

// lookupEach is LookupBatch without the kernel's batches.
func (m *Map) lookupEach(cursor, keys, values []byte, room int, flags uint64) (n int, err error) {
	last := cursor[cursorState : cursorState+m.keySize]
	if binary.NativeEndian.Uint64(cursor) == cursorStart {
		last = nil
	}
	for missed := 0; n < room; {
		key := keys[n*m.keySize : (n+1)*m.keySize]
		if err = m.NextKeyInto(last, key); err != nil {
			break
		}
		err = m.LookupInto(key, values[n*m.valueSize:(n+1)*m.valueSize], flags)
		last = key
		switch {
		case err == nil:
			n++
			continue
		case errors.Is(err, unix.ENOSPC): // a map of sockets whose values have no room for what it would tell
			err = &MapError{Op: opLookupBatch.String(), Map: m.name, Errno: unix.EOPNOTSUPP}
		case errors.Is(err, unix.ENOENT):
			if err = nil; missed < maxMissed {
				missed++
				continue
			}
		}
		break
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		binary.NativeEndian.PutUint64(cursor, cursorDone)
		return n, nil
	case err != nil:
		return 0, err // the cursor is where it was
	}
	copy(cursor[cursorState:], last)
	binary.NativeEndian.PutUint64(cursor, cursorKey)
	if n == 0 {
		return 0, &MapError{Op: opLookupBatch.String(), Map: m.name, Errno: unix.EAGAIN}
	}
	return n, nil
}

// takeEach is LookupAndDeleteBatch without the kernel's batches. It goes on behind the last key: where that is gone from the order, as in
// a hash, the kernel begins again; where it is not, as in an array, what lies before it is empty.
func (m *Map) takeEach(cursor, keys, values []byte, room int, flags uint64) (n int, err error) {
	last := cursor[cursorState : cursorState+m.keySize]
	if binary.NativeEndian.Uint64(cursor) == cursorStart {
		last = nil
	}
	for missed := 0; n < room; {
		key, value := keys[n*m.keySize:(n+1)*m.keySize], values[n*m.valueSize:(n+1)*m.valueSize]
		err = m.NextKeyInto(last, key)
		if errors.Is(err, unix.ENOENT) && last != nil && m.typ == ebpf.LPMTrie { // Linux 5.10 finds the end behind a key that is gone
			err = m.NextKeyInto(nil, key)
		}
		if err != nil {
			break
		}
		err = m.take(key, value, flags)
		last = key
		if err == nil {
			n++
			continue
		}
		if errors.Is(err, unix.ENOENT) { // an empty place, or somebody else took it
			if err = nil; missed < maxMissed {
				missed++
				continue
			}
		}
		break
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		binary.NativeEndian.PutUint64(cursor, cursorDone)
		return n, nil
	case err != nil && n == 0:
		return 0, err // the cursor is where it was
	case err != nil:
		last = keys[(n-1)*m.keySize : n*m.keySize] // the error comes again
	}
	copy(cursor[cursorState:], last)
	binary.NativeEndian.PutUint64(cursor, cursorKey)
	if n == 0 {
		return 0, &MapError{Op: opLookupDeleteBatch.String(), Map: m.name, Errno: unix.EAGAIN}
	}
	return n, nil
}

// take is LookupAndDelete, in two steps where the kernel has not got it in one.
func (m *Map) take(key, value []byte, flags uint64) error {
	err := m.LookupAndDelete(key, value, flags)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return err
	}
	if !errors.Is(err, enotsupp) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := m.LookupInto(key, value, flags); err != nil {
		return err
	}
	return m.Delete(key)
}

package bpf

import (
	"encoding/binary"
	"errors"

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

// takeEach is LookupAndDeleteBatch without the kernel's batches. What it has taken is gone, so the first key is always the next.
func (m *Map) takeEach(cursor, keys, values []byte, room int, flags uint64) (n int, err error) {
	for missed := 0; n < room && missed < maxMissed && err == nil; {
		key, value := keys[n*m.keySize:(n+1)*m.keySize], values[n*m.valueSize:(n+1)*m.valueSize]
		if err = m.NextKeyInto(nil, key); err != nil {
			break
		}
		if err = m.take(key, value, flags); err == nil {
			n++
		} else if errors.Is(err, unix.ENOENT) { // somebody else took it
			missed++
			err = nil
		}
	}
	switch {
	case err == nil:
		binary.NativeEndian.PutUint64(cursor, cursorKey)
		if n == 0 {
			return 0, &MapError{Op: opLookupDeleteBatch.String(), Map: m.name, Errno: unix.EAGAIN}
		}
	case errors.Is(err, unix.ENOENT):
		binary.NativeEndian.PutUint64(cursor, cursorDone)
	case n == 0:
		return 0, err
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

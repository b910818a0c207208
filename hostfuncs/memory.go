// Package hostfuncs holds what every import module of the host interface needs:
// checked access to guest memory, handles instead of file descriptors, and
// errno values. The modules themselves are in the packages below.
package hostfuncs

import "bytes"

// Bytes is the guest's buffer of n bytes at off, as a view that is invalid once
// guest code runs again. It answers false when the buffer does not lie inside
// the memory.
func Bytes(mem []byte, off, n uint32) ([]byte, bool) {
	end := uint64(off) + uint64(n)
	if end > uint64(len(mem)) {
		return nil, false
	}
	return mem[off:end:end], true
}

// CString copies the NUL-terminated string at off, which may have at most limit
// bytes before the NUL. It answers false when there is no NUL within the limit
// and the memory.
func CString(mem []byte, off uint32, limit int) (string, bool) {
	if uint64(off) >= uint64(len(mem)) {
		return "", false
	}
	window := mem[off:]
	if len(window) > limit+1 {
		window = window[:limit+1]
	}
	n := bytes.IndexByte(window, 0)
	if n < 0 {
		return "", false
	}
	return string(window[:n]), true
}

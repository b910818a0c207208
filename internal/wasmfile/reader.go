package wasmfile

import (
	"fmt"
	"unicode/utf8"
)

// Reader decodes the primitive encodings. After the first error it gives zeros
// and keeps that error, so that one look at Err at the end is enough; loops over
// counts must look at it in every round.
type Reader struct {
	b       []byte
	pos     int
	base    uint64
	section string
	err     error
}

// NewReader reads b, which lies at offset base of the file, in the section of
// that name.
func NewReader(b []byte, base uint64, section string) *Reader {
	return &Reader{b: b, base: base, section: section}
}

// Err is the first error, nil while there is none. It matches [ErrMalformed].
func (r *Reader) Err() error { return r.err }

// Pos is the position in the bytes.
func (r *Reader) Pos() int { return r.pos }

// Len is how many bytes are left.
func (r *Reader) Len() int { return len(r.b) - r.pos }

// Fail records an error at the current position.
func (r *Reader) Fail(format string, args ...any) { r.failAt(r.pos, format, args...) }

func (r *Reader) failAt(pos int, format string, args ...any) {
	if r.err == nil {
		r.err = &MalformedError{Section: r.section, Offset: r.base + uint64(pos), Problem: fmt.Sprintf(format, args...)}
		r.pos = len(r.b)
	}
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.pos >= len(r.b) {
		r.Fail("unexpected end")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

// Bytes reads n bytes; the result shares the file.
func (r *Reader) Bytes(n uint32) []byte {
	if uint64(n) > uint64(r.Len()) {
		r.Fail("%d bytes announced, %d left", n, r.Len())
		return nil
	}
	s := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return s
}

// U32 reads an unsigned LEB128 number of 32 bits.
func (r *Reader) U32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	v, n := u32(r.b, r.pos)
	if n <= 0 {
		r.Fail("%s", lebProblem(n))
		return 0
	}
	r.pos += n
	return v
}

// S32 reads a signed LEB128 number of 32 bits.
func (r *Reader) S32() int32 { return int32(r.signed(32)) }

// S64 reads a signed LEB128 number of 64 bits.
func (r *Reader) S64() int64 { return r.signed(64) }

func (r *Reader) signed(bits int) int64 {
	v, n := signed(r.b, r.pos, bits)
	if n <= 0 {
		r.Fail("%s", lebProblem(n))
		return 0
	}
	r.pos += n
	return v
}

// Count reads the length of a list whose elements take at least size bytes
// each. A count beyond limit, or that the bytes left cannot hold, is an error.
func (r *Reader) Count(what string, size, limit int) int {
	at := r.pos
	n := uint64(r.U32())
	switch {
	case n > uint64(limit):
		r.failAt(at, "%d %s, at most %d are supported", n, what, limit)
	case n*uint64(size) > uint64(r.Len()):
		r.failAt(at, "%d %s announced, but only %d bytes are left", n, what, r.Len())
	default:
		return int(n)
	}
	return 0
}

// Name reads a name, which must be UTF-8.
func (r *Reader) Name() string { return string(r.name()) }

// name is Name without a copy.
func (r *Reader) name() []byte {
	at := r.pos
	s := r.Bytes(r.U32())
	if !utf8.Valid(s) {
		r.failAt(at, "a name is not UTF-8")
		return nil
	}
	return s
}

// The results of decoding that are not lengths.
const (
	lebEnd      = 0
	lebTooLong  = -1
	lebTooLarge = -2
)

func lebProblem(n int) string {
	switch n {
	case lebTooLong:
		return "a number takes more bytes than its type allows"
	case lebTooLarge:
		return "a number is larger than its type allows"
	}
	return "unexpected end"
}

// u32 decodes the number at pos and gives its length, or one of the codes above.
func u32(b []byte, pos int) (uint32, int) {
	var v uint32
	for i := range 5 {
		if pos+i >= len(b) {
			return 0, lebEnd
		}
		c := b[pos+i]
		if i == 4 && c > 0x0f {
			if c&0x80 != 0 {
				return 0, lebTooLong
			}
			return 0, lebTooLarge
		}
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, lebTooLong
}

// signed decodes a signed number of that many bits (32, 33 or 64).
func signed(b []byte, pos, bits int) (int64, int) {
	var v int64
	most := (bits + 6) / 7
	for i := range most {
		if pos+i >= len(b) {
			return 0, lebEnd
		}
		c := b[pos+i]
		v |= int64(c&0x7f) << (7 * i)
		if i == most-1 {
			if c&0x80 != 0 {
				return 0, lebTooLong
			}
			// The bits beyond the type must repeat the sign.
			used := bits - 7*i
			rest := int8(c<<1) >> used // sign bit and all above it, as a signed number
			if rest != 0 && rest != -1 {
				return 0, lebTooLarge
			}
		}
		if c < 0x80 {
			if shift := 7 * (i + 1); shift < 64 {
				v = v << (64 - shift) >> (64 - shift)
			}
			return v, i + 1
		}
	}
	return 0, lebTooLong
}

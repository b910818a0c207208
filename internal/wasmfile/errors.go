package wasmfile

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Sentinels that callers branch on.
var (
	// ErrNotWasm means that the bytes are something else than a Wasm file.
	ErrNotWasm = errors.New("not a Wasm file")
	// ErrComponent means a component of the component model.
	ErrComponent = errors.New("is a component, not a core module")
	// ErrMalformed means a Wasm file that is damaged, truncated or uses an
	// encoding that is not supported. The error is a [*MalformedError].
	ErrMalformed = errors.New("malformed Wasm module")
)

// MalformedError says where a file stops making sense.
type MalformedError struct {
	// Section is the section's name, or "" outside of sections.
	Section string
	// Offset is the position in the file.
	Offset uint64
	// Problem is what is wrong there.
	Problem string
}

// Error is one line with section, offset and problem.
func (e *MalformedError) Error() string {
	if e.Section == "" {
		return fmt.Sprintf("%v: offset 0x%x: %s", ErrMalformed, e.Offset, e.Problem)
	}
	return fmt.Sprintf("%v: %s section, offset 0x%x: %s", ErrMalformed, e.Section, e.Offset, e.Problem)
}

// Is makes errors.Is match [ErrMalformed].
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

const (
	magic       = "\x00asm"
	versionCore = "\x01\x00\x00\x00"
)

// checkHeader accepts the header of a core module and says what the bytes look
// like otherwise.
func checkHeader(b []byte) error {
	if !bytes.HasPrefix(b, []byte(magic)) {
		return fmt.Errorf("%w: %s", ErrNotWasm, looksLike(b))
	}
	if len(b) < 8 {
		return &MalformedError{Offset: uint64(len(b)), Problem: "the file ends within the header: it is truncated"}
	}
	if string(b[4:8]) == versionCore {
		return nil
	}
	if b[6] == 1 && b[7] == 0 { // the layer field: 0 is a core module, 1 a component
		return fmt.Errorf("%w: build the plugin for wasm32-wasip1, or take the core module out of it "+
			"(wasm-tools component unbundle --module-dir DIR FILE)", ErrComponent)
	}
	return &MalformedError{Offset: 4, Problem: fmt.Sprintf("version % x of the format, where only version 1 is known", b[4:8])}
}

// looksLike says for people what some bytes are and what to do.
func looksLike(b []byte) string {
	text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	has := func(prefix string) bool { return bytes.HasPrefix(b, []byte(prefix)) }
	textHas := func(prefix string) bool {
		return len(text) >= len(prefix) && bytes.EqualFold(text[:len(prefix)], []byte(prefix))
	}
	switch {
	case len(b) == 0:
		return "the file is empty"
	case len(b) < 4 && bytes.HasPrefix([]byte(magic), b):
		return "the file ends within the first four bytes: it is truncated"
	case has("\x7fELF"):
		return elfKind(b)
	case has("\x1f\x8b"):
		return "it is gzip-compressed: decompress it first (gunzip)"
	case has("\x28\xb5\x2f\xfd"):
		return "it is zstd-compressed: decompress it first (zstd -d)"
	case has("PK\x03\x04"):
		return "it is a zip archive: unpack it first"
	case len(b) > 262 && string(b[257:262]) == "ustar":
		return "it is a tar archive: unpack it first"
	case has("BC\xc0\xde"):
		return "it is LLVM bitcode: link it to a .wasm file first"
	case has("!<arch>\n"):
		return "it is a library archive (.a): link it to a .wasm file first"
	case textHas("(module") || textHas("(component") || textHas("(;") || textHas(";;"):
		return "it is the text format (.wat): translate it with wat2wasm first"
	case textHas("<!doctype html") || textHas("<html"):
		return "it is an HTML page, perhaps an error page of a download"
	case textHas("version https://git-lfs"):
		return "it is a Git LFS pointer: fetch the file with git lfs pull"
	case has("#!"):
		return "it is a script"
	case textHas("{") || textHas("["):
		return "it looks like JSON"
	case printable(b[:min(len(b), 64)]):
		return "it is text"
	}
	return fmt.Sprintf("it starts with % x, a Wasm file with 00 61 73 6d", b[:min(len(b), 4)])
}

// printable tells whether some bytes are text; the last character may be cut.
func printable(b []byte) bool {
	for len(b) >= utf8.UTFMax {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError || c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
		b = b[n:]
	}
	return true
}

// elfKind tells a BPF object from a native program.
func elfKind(b []byte) string {
	const emBPF = 247
	if len(b) >= 20 && (b[18] == emBPF && b[19] == 0 || b[18] == 0 && b[19] == emBPF) {
		return "it is a BPF object (ELF): a plugin carries it inside its .wasm file"
	}
	return "it is an ELF file, a native program: build it for wasm32 instead"
}

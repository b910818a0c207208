package wasmfile

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// SetCustom answers a module with one custom section of that name, at its end, in place of all that it has by that name. All other
// bytes stay as they are, so that doing it twice changes nothing more.
func SetCustom(wasm []byte, name string, content []byte) ([]byte, error) {
	f, err := Parse(wasm)
	if err != nil {
		return nil, err
	}
	at := uint64(preamble)
	out := slices.Clone(wasm[:at])
	for _, s := range f.Sections {
		end := s.Offset + uint64(len(s.Bytes))
		if s.ID != SectionCustom || s.Name != name {
			out = append(out, wasm[at:end]...)
		}
		at = end
	}
	section := append(binary.AppendUvarint(nil, uint64(len(name))), name...)
	section = append(section, content...)
	out = append(out, byte(SectionCustom))
	out = binary.AppendUvarint(out, uint64(len(section)))
	out = append(out, section...)
	if _, err := Parse(out); err != nil { // a module at the limit of a size or a number
		return nil, fmt.Errorf("with section %q: %w", name, err)
	}
	return out, nil
}

// preamble is the length of what stands before the first section: the magic number and the version.
const preamble = 8

package vmtest

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// vmlinux takes the ELF kernel out of a bzImage. QEMU enters it directly (PVH), so that no emulated CPU has to unpack it.
func vmlinux(ctx context.Context, image []byte) ([]byte, error) {
	if len(image) < 0x260 || string(image[0x202:0x206]) != "HdrS" {
		return nil, errors.New("unpack the kernel image: not a bzImage")
	}
	setup := int64(image[0x1f1])
	if setup == 0 {
		setup = 4
	}
	le := binary.LittleEndian
	off := (setup+1)*512 + int64(le.Uint32(image[0x248:]))
	n := int64(le.Uint32(image[0x24c:]))
	if n < 8 || off+n > int64(len(image)) {
		return nil, errors.New("unpack the kernel image: its payload lies outside the file")
	}
	payload := image[off : off+n]
	size := int(le.Uint32(payload[n-4:])) // put there by the kernel's build; the end of a gzip file has it anyway
	if !bytes.HasPrefix(payload, []byte(gzipMagic)) {
		payload = payload[:n-4]
	}
	out, err := decompress(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("unpack the kernel image: %w", err)
	}
	if len(out) != size || !hasPVHNote(out) {
		return nil, fmt.Errorf("unpack the kernel image: %d bytes that QEMU cannot enter, want an ELF file of %d bytes with a PVH note", len(out), size)
	}
	return out, nil
}

// hasPVHNote reports whether an ELF file has the note XEN_ELFNOTE_PHYS32_ENTRY.
func hasPVHNote(b []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return false
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		d, err := io.ReadAll(p.Open())
		if err != nil {
			return false
		}
		le := binary.LittleEndian
		align := func(n uint32) int { return int(n+3) &^ 3 }
		for len(d) >= 12 {
			name, desc, kind := le.Uint32(d), le.Uint32(d[4:]), le.Uint32(d[8:])
			next := 12 + align(name) + align(desc)
			if next > len(d) || name > 64 {
				break
			}
			if kind == 18 && strings.TrimRight(string(d[12:12+name]), "\x00") == "Xen" {
				return true
			}
			d = d[next:]
		}
	}
	return false
}

const gzipMagic = "\x1f\x8b"

// decompressors by the first bytes of the data.
var decompressors = []struct{ magic, tool string }{
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\xfd7zXZ\x00", "xz"},
	{"\x02\x21\x4c\x18", "lz4"},
}

func decompress(ctx context.Context, b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte(gzipMagic)) {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		r.Multistream(false)
		return io.ReadAll(r)
	}
	for _, d := range decompressors {
		if bytes.HasPrefix(b, []byte(d.magic)) {
			return output(ctx, b, d.tool, "-dc")
		}
	}
	return nil, fmt.Errorf("unknown compression (starts % x)", b[:min(6, len(b))])
}

// output runs a tool and returns what it writes.
func output(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%s is not installed; run .ci/setup kernels", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// structBlock describes one structure: a drawing, eight bytes to the line, and a table of its fields.
func structBlock(s abi.StructInfo) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Structure: %s\n\n", s.Name)
	b.WriteString(wrap("", "", fmt.Sprintf("%s %d bytes.", s.Doc, s.Size), 128))
	b.WriteString("\n```\n" + drawing(s) + "```\n\n")
	b.WriteString("| offset | size | field | type | meaning |\n|---:|---:|---|---|---|\n")
	for _, f := range s.Fields {
		fmt.Fprintf(&b, "| %d | %d | `%s` | %s | %s |\n", f.Offset, f.Size, f.Name, fieldKind(f.Type), cell(f.Doc))
	}
	return b.String()
}

func fieldKind(t string) string {
	switch {
	case t == "i32":
		return "s32"
	case t == "span":
		return "[`span`](README.md#structure-span)"
	}
	return t
}

// byteWidth is how many characters a byte is wide in a drawing.
const byteWidth = 8

// drawing is a ruler of bytes with the fields under it.
func drawing(s abi.StructInfo) string {
	var b strings.Builder
	b.WriteString("      ")
	for i := range 8 {
		fmt.Fprintf(&b, "%-*s", byteWidth, fmt.Sprint("+", i))
	}
	out := strings.TrimRight(b.String(), " ") + "\n"
	line := "      +"
	for range 8 {
		line += strings.Repeat("-", byteWidth-1) + "+"
	}
	out += line + "\n"
	row := ""
	for _, f := range parts(s) {
		if f.Offset%8 == 0 {
			row = fmt.Sprintf("%5d |", f.Offset)
		}
		width := min(f.Size, 8) * byteWidth
		row += fmt.Sprintf(" %-*s|", width-2, f.Name)
		if end := f.Offset + f.Size; end%8 == 0 {
			out += row + "\n" + line + "\n"
		} else if end == s.Size {
			out += row + "\n" + line[:len("      +")+(end%8)*byteWidth] + "\n"
		}
	}
	return out
}

// parts are the boxes of a drawing: a span has two, and a long array says in its one how long it is.
func parts(s abi.StructInfo) []abi.Field {
	var out []abi.Field
	for _, f := range s.Fields {
		switch {
		case f.Type == "span":
			out = append(out, abi.Field{Name: f.Name + ".ptr", Offset: f.Offset, Size: 4}, abi.Field{Name: f.Name + ".len", Offset: f.Offset + 4, Size: 4})
		case f.Size > 8:
			f.Name = fmt.Sprintf("%s, %d bytes", f.Name, f.Size)
			out = append(out, f)
		default:
			out = append(out, f)
		}
	}
	return out
}

// exampleRecord is one record of the worked example.
type exampleRecord struct {
	source uint16
	data   []byte
	what   string
}

// batchExample is what events_read writes for two records of two sources.
func batchExample() string {
	pid := binary.LittleEndian.AppendUint32(nil, 4711)
	records := []exampleRecord{
		{0, append(pid, "sh\x00"...), "a pid and a name, 7 bytes"},
		{1, []byte("8 bytes!"), "8 bytes, no padding"},
	}
	var b strings.Builder
	b.WriteString("```\nbuf\n")
	at := 0
	row := func(bytes []byte, what string) {
		fmt.Fprintf(&b, "  %04x  %-24s %s\n", at, fmt.Sprintf("% x", bytes), what)
		at += len(bytes)
	}
	for _, r := range records {
		row(binary.LittleEndian.AppendUint32(nil, uint32(len(r.data))), fmt.Sprintf("frame.size = %d", len(r.data)))
		row(binary.LittleEndian.AppendUint16(nil, r.source), fmt.Sprintf("frame.source = %d", r.source))
		row([]byte{0, 0}, "frame.flags = 0")
		row(r.data, "data: "+r.what)
		if pad := -len(r.data) & 7; pad > 0 {
			row(make([]byte, pad), "padding")
		}
	}
	batch := abi.Batch{Bytes: uint32(at), Records: uint32(len(records)), Lost: 3, Flags: abi.BatchMore}
	at = 0
	b.WriteString("out\n")
	row(binary.LittleEndian.AppendUint32(nil, batch.Bytes), fmt.Sprintf("batch.bytes = %d", batch.Bytes))
	row(binary.LittleEndian.AppendUint32(nil, batch.Records), fmt.Sprintf("batch.records = %d", batch.Records))
	row(binary.LittleEndian.AppendUint64(nil, batch.Lost), fmt.Sprintf("batch.lost = %d", batch.Lost))
	row(binary.LittleEndian.AppendUint32(nil, batch.Flags), "batch.flags = more")
	row(binary.LittleEndian.AppendUint32(nil, batch.Need), "batch.need = 0")
	return b.String() + "```\n"
}

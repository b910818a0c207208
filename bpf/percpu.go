package bpf

// PerCPU reports whether an entry has a value for each possible CPU.
func (m *Map) PerCPU() bool { return perCPU(m.typ) }

// CPUValueSize returns the length in bytes of one CPU's value, without padding. For maps that are not per CPU it
// is [Map.ValueSize].
func (m *Map) CPUValueSize() int { return int(m.m.ValueSize()) }

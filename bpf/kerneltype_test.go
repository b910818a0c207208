package bpf

import (
	"testing"

	"github.com/bowline-edge/bowline/internal/kernel"
)

func TestKernelTypesAreFound(t *testing.T) {
	if err := kernel.BTF(); err != nil {
		t.Skip(err)
	}
	for name, kind := range map[string]TypeKind{
		"task_struct": "struct", "struct task_struct": "struct", "union bpf_attr": "union", "enum pid_type": "enum", "u64": "typedef", "func vfs_read": "func",
	} {
		if got, err := KernelType(name); err != nil || got.Kind != kind || got.ID == 0 || (kind != "func" && got.Size == 0) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", " ", "no_such_type", "union task_struct", "struct "} {
		_, err := KernelType(name)
		wantError(t, err, ErrNotFound)
	}
}

func TestKernelFieldsAreFound(t *testing.T) {
	if err := kernel.BTF(); err != nil {
		t.Skip(err)
	}
	get := func(typ, path string) FieldInfo {
		t.Helper()
		f, err := KernelField(typ, path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f, se := get("task_struct", "se"), "sched_entity"; f.ID == 0 || f.Type != se {
		t.Errorf("got %+v", f)
	} else if i, err := KernelType(se); err != nil || i.ID != f.ID {
		t.Errorf("got %+v, %v for %+v", i, err, f)
	}
	// What is known of all kernels, or follows from another field.
	if f := get("list_head", "prev"); f.BitOffset != f.BitSize || f.Kind != "pointer" || f.Size*8 != uint32(f.BitSize) {
		t.Errorf("got %+v", f)
	}
	comm := get("task_struct", "comm")
	if at := get("task_struct", "comm[3]"); comm.Size != 16 || comm.Kind != "array" || at.BitOffset != comm.BitOffset+24 || at.Size != 1 || at.Kind != "int" {
		t.Errorf("got %+v and %+v", comm, at)
	}
	if se, v := get("task_struct", "se"), get("task_struct", "se.vruntime"); v.BitOffset <= se.BitOffset || v.Type != "u64" || v.Kind != "int" || se.Type != "sched_entity" {
		t.Errorf("got %+v and %+v", se, v)
	}
	if f := get("iphdr", "version"); f.BitSize != 4 || !f.Bitfield || f.BitOffset >= 8 {
		t.Errorf("got %+v", f)
	}
	if f := get("iphdr", "daddr"); f.BitOffset != 16*8 || f.Bitfield { // in a union without a name on newer kernels
		t.Errorf("got %+v", f)
	}
	for _, path := range []string{"", ".", "x", "comm[16]", "comm[", "comm[x]", "comm]", "comm[1]x", "pid[0]", "pid.x", "parent.pid", "se..x", "se."} {
		if f, err := KernelField("task_struct", path); err == nil {
			t.Errorf("%q: got %+v, want an error", path, f)
		}
	}
}

func BenchmarkKernelField(b *testing.B) {
	if err := kernel.BTF(); err != nil {
		b.Skip(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := KernelField("task_struct", "se.vruntime"); err != nil {
			b.Fatal(err)
		}
	}
}

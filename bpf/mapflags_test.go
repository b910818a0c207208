package bpf

import (
	"bytes"
	"os"
	"testing"

	"github.com/cilium/ebpf"
)

// Flags with which the kernel takes numbers for descriptors are refused, whichever way a map is made: also the kernel that does not know
// them is not asked.
func TestFlagsThatReadDescriptorsAreRefused(t *testing.T) {
	elf, err := os.ReadFile("testdata/maps.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	for name, flag := range map[string]uint32{
		"BPF_F_PATH_FD": 1 << 14, "BPF_F_VTYPE_BTF_OBJ_FD": 1 << 15, "BPF_F_TOKEN_FD": 1 << 16, "not known": 1 << 31,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := CreateMap(MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Flags: flag})
			wantError(t, err, ErrType, name)
			open := func() *Spec {
				s, err := Open(bytes.NewReader(elf))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			wantError(t, open().SetMapFlags("hash", flag), ErrType, name)
			for what, change := range map[string]func(c *ebpf.CollectionSpec){
				"a map of the file": func(c *ebpf.CollectionSpec) { c.Maps["hash"].Flags |= flag },
				"what a map holds":  func(c *ebpf.CollectionSpec) { outerOf(t, c).InnerMap.Flags |= flag },
				"a struct_ops":      func(c *ebpf.CollectionSpec) { c.Maps["hash"].Type, c.Maps["hash"].Flags = ebpf.StructOpsMap, flag },
			} {
				s := open()
				change(s.coll)
				o, err := s.Load(LoadOptions{})
				if err == nil {
					o.Close()
					t.Errorf("%s was made", what)
					continue
				}
				wantError(t, err, ErrType, name)
			}
		})
	}
}

func outerOf(t *testing.T, c *ebpf.CollectionSpec) *ebpf.MapSpec {
	t.Helper()
	for _, m := range c.Maps {
		if m.InnerMap != nil {
			return m
		}
	}
	t.Fatal("no map of maps in the object")
	return nil
}

package ebpf

import (
	"fmt"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// describe is one item of an object, with its name and its section. After the load it is what the kernel has.
func describe(o *session.Object, what, index uint32) (item abi.Item, name, section string, err error) {
	switch what {
	case abi.ItemMap:
		if m, ok := at(o.Maps(), index); ok {
			return describeMap(m), m.Name, "", nil
		}
	case abi.ItemProgram:
		if p, ok := at(o.Programs(), index); ok {
			item := abi.Item{Type: uint32(p.Type), Insns: uint32(p.Insns)}
			if p.Optional {
				item.Properties = abi.ItemOptional
			}
			return item, p.Name, p.Section, nil
		}
	case abi.ItemVariable:
		if v, ok := at(o.Variables(), index); ok {
			item := abi.Item{ValueSize: v.Size}
			if v.Constant {
				item.Properties = abi.ItemConstant
			}
			return item, v.Name, v.Section, nil
		}
	default:
		return item, "", "", fmt.Errorf("list items: %w: %d is none of item", session.ErrArgument, what)
	}
	return item, "", "", fmt.Errorf("item %d: %w: there are fewer", index, bpf.ErrNotFound)
}

func at[T any](list []T, index uint32) (T, bool) {
	if uint64(index) < uint64(len(list)) {
		return list[index], true
	}
	var zero T
	return zero, false
}

func describeMap(m bpf.MapSpec) abi.Item {
	item := abi.Item{Type: uint32(m.Type), KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries, Flags: m.Flags}
	if m.Internal {
		item.Properties = abi.ItemInternal
	}
	return item
}

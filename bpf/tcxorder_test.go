package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// tcxOrder lists the programs that see the packets that come into an interface, in their order.
func tcxOrder(t *testing.T, device string) []uint32 {
	t.Helper()
	index, err := interfaceIndex(device, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		t.Fatal(err)
	}
	var ids []uint32
	for _, p := range r.Programs {
		ids = append(ids, uint32(p.ID))
	}
	return ids
}

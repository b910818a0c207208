package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// attachSkSKB puts a program on a sockmap or sockhash; it sees what the sockets in the map receive: as sk_skb/stream_parser it says
// where messages end, as sk_skb/stream_verdict (Linux 4.14) or sk_skb/verdict (5.13) where they go. The target names the map, which
// is not needed where the object has only one.
func attachSkSKB(p *Program, t Target) (*Link, error) {
	if p.spec.AttachType == ebpf.AttachNone {
		return nil, fmt.Errorf("%w: section %q does not say whether it parses or judges; use sk_skb/stream_parser, sk_skb/stream_verdict "+
			"or sk_skb/verdict", ErrType, p.section)
	}
	return attachSockmap(p, t, p.spec.AttachType)
}

package bpf

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachNetfilter puts a program into a chain of netfilter in the current network namespace. Requires at least Linux 6.4.
func attachNetfilter(p *Program, t Target) (*Link, error) {
	family, err := netfilterFamily(t.Family)
	if err != nil {
		return nil, err
	}
	chain, err := netfilterChain(t.Chain)
	if err != nil {
		return nil, err
	}
	if t.Priority <= math.MinInt32 || t.Priority >= math.MaxInt32 {
		return nil, badTarget("priority %d is out of range; the first and last are the kernel's own", t.Priority)
	}
	l, err := link.AttachNetfilter(link.NetfilterOptions{
		Program: p.prog, ProtocolFamily: family, Hook: chain, Priority: int32(t.Priority),
	})
	if errors.Is(err, unix.EBUSY) {
		return nil, busyf("a BPF program with priority %d is in this chain already; give another priority, for example ipv4:input:%d",
			t.Priority, t.Priority+1)
	}
	if err != nil {
		return nil, err
	}
	return newLink(l, fmt.Sprintf("%s:%s:%d", orText(t.Family, "ipv4"), orText(t.Chain, "input"), t.Priority)), nil
}

func orText(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func netfilterFamily(s string) (link.NetfilterProtocolFamily, error) {
	switch s {
	case "", "ipv4":
		return link.NetfilterProtoIPv4, nil
	case "ipv6":
		return link.NetfilterProtoIPv6, nil
	}
	return 0, badTarget("no family %q; want ipv4 or ipv6", short(s))
}

func netfilterChain(s string) (link.NetfilterInetHook, error) {
	switch s {
	case "prerouting":
		return link.NetfilterInetPreRouting, nil
	case "", "input":
		return link.NetfilterInetLocalIn, nil
	case "forward":
		return link.NetfilterInetForward, nil
	case "output":
		return link.NetfilterInetLocalOut, nil
	case "postrouting":
		return link.NetfilterInetPostRouting, nil
	}
	return 0, badTarget("no chain %q; want prerouting, input, forward, output or postrouting", short(s))
}

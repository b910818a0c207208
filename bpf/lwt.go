package bpf

import "fmt"

// attachLWT explains programs of lightweight tunnels: a route runs them.
func attachLWT(p *Program, _ Target) (*Link, error) {
	if p.attachTo == "seg6local" {
		return nil, fmt.Errorf("%w: a route runs it: pin it, then ip -6 route add PREFIX encap seg6local action End.BPF endpoint pinned PATH dev DEV", ErrType)
	}
	return nil, fmt.Errorf("%w: a route runs it: pin it, then ip route add PREFIX encap bpf %s pinned PATH dev DEV", ErrType, p.attachTo)
}

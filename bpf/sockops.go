package bpf

import "github.com/cilium/ebpf"

// attachSockOps puts a program on a cgroup; it is told of every step in the life of the TCP connections of the processes in it.
// Requires at least Linux 4.13 (5.7 for a link).
func attachSockOps(p *Program, t Target) (*Link, error) {
	return attachToCgroup(p, t, ebpf.AttachCGroupSockOps)
}

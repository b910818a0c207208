package bpf

import "github.com/cilium/ebpf"

// attachSkMsg puts a program on a sockmap or sockhash; it sees what the sockets in the map send. The target names the map, which is
// not needed where the object has only one. Requires at least Linux 4.17.
func attachSkMsg(p *Program, t Target) (*Link, error) {
	return attachSockmap(p, t, ebpf.AttachSkMsgVerdict)
}

package bpf

import "golang.org/x/sys/unix"

// attachReuseport puts a program on the group of sockets that share a port with the given one; it picks the socket that gets a
// connection or packet. The socket must have SO_REUSEPORT. Close takes it away. Requires at least Linux 4.19 (5.3 to detach).
func attachReuseport(p *Program, t Target) (*Link, error) {
	return attachToSocket(p, t, unix.SO_ATTACH_REUSEPORT_EBPF, unix.SO_DETACH_REUSEPORT_BPF)
}

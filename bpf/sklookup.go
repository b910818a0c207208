package bpf

// attachSkLookup puts a program on a network namespace, by default our own; it picks the socket that gets a new connection or packet.
// A namespace runs several, in the order they came. Requires at least Linux 5.9.
func attachSkLookup(p *Program, t Target) (*Link, error) { return attachNetns(p, t) }

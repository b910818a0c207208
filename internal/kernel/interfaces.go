package kernel

import (
	"fmt"
	"net"
)

// Interface is a network device.
type Interface struct {
	// Index is the kernel's number of it, in its network namespace.
	Index int
	// Name is at most 15 bytes.
	Name string
	// MTU is the largest packet, in bytes.
	MTU int
	// Up says that it is switched on, Running that its line is connected.
	Up, Running, Loopback, PointToPoint, Broadcast, Multicast bool
	// MAC is the hardware address, usually of 6 bytes; empty if there is none.
	MAC []byte
}

// Interfaces lists the network devices of the network namespace that the calling thread is in, by index.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	out := make([]Interface, 0, len(all))
	for _, i := range all {
		has := func(f net.Flags) bool { return i.Flags&f != 0 }
		out = append(out, Interface{
			Index: i.Index, Name: i.Name, MTU: i.MTU, MAC: i.HardwareAddr, Up: has(net.FlagUp), Running: has(net.FlagRunning),
			Loopback: has(net.FlagLoopback), PointToPoint: has(net.FlagPointToPoint), Broadcast: has(net.FlagBroadcast), Multicast: has(net.FlagMulticast),
		})
	}
	return out, nil
}

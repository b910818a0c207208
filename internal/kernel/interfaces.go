package kernel

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Interface is a network device.
type Interface struct {
	// Index is the kernel's number of it, in its network namespace.
	Index int
	// Name is at most 15 bytes.
	Name string
	// MTU is the largest packet, in bytes.
	MTU int
	// Flags are the kernel's IFF_* flags, all of them.
	Flags uint32
	// Up says that it is switched on, Running that its line is connected.
	Up, Running, Loopback, PointToPoint, Broadcast, Multicast bool
	// MAC is the hardware address, usually of 6 bytes; empty if there is none.
	MAC []byte
}

// Interfaces lists the network devices of the network namespace that the calling thread is in, by index.
func Interfaces() ([]Interface, error) {
	reply, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(reply)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var out []Interface
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < int(unsafe.Sizeof(unix.IfInfomsg{})) {
			continue
		}
		i := Interface{ // struct ifinfomsg: family, type, index, flags, change
			Index: int(int32(binary.NativeEndian.Uint32(m.Data[4:]))), Flags: binary.NativeEndian.Uint32(m.Data[8:]),
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, fmt.Errorf("list interfaces: %w", err)
		}
		for _, a := range attributes {
			switch {
			case a.Attr.Type == unix.IFLA_IFNAME:
				i.Name = unix.ByteSliceToString(a.Value)
			case a.Attr.Type == unix.IFLA_MTU && len(a.Value) >= 4:
				i.MTU = int(binary.NativeEndian.Uint32(a.Value))
			case a.Attr.Type == unix.IFLA_ADDRESS && notZero(a.Value):
				i.MAC = a.Value
			}
		}
		for flag, to := range map[uint32]*bool{
			unix.IFF_UP: &i.Up, unix.IFF_RUNNING: &i.Running, unix.IFF_LOOPBACK: &i.Loopback, unix.IFF_POINTOPOINT: &i.PointToPoint,
			unix.IFF_BROADCAST: &i.Broadcast, unix.IFF_MULTICAST: &i.Multicast,
		} {
			*to = i.Flags&flag != 0
		}
		out = append(out, i)
	}
	return out, nil
}

func notZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return true
		}
	}
	return false
}

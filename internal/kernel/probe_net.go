package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// netProbe holds the answers of everything that was tried in a network namespace of its own.
type netProbe struct {
	unshared                                error // why there was no namespace
	native, generic, qdisc, tcxLink, nkLink error
	nfLink, lookup, dissector, device       error
}

// probeNetwork tries the network hooks on devices that nobody else sees. The namespace goes when its thread leaves it.
func probeNetwork() *netProbe {
	n := &netProbe{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.inNamespace()
	}()
	<-done
	return n
}

// inNamespace runs the probes on a thread in a namespace of its own. The thread goes back afterwards: ending it with the goroutine is
// not enough, because the first thread of a process never ends, and would keep the namespace.
func (n *netProbe) inNamespace() {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		n.unshared = err
		runtime.UnlockOSThread()
		return
	}
	defer home.Close()
	if n.unshared = unix.Unshare(unix.CLONE_NEWNET); n.unshared == nil {
		n.run()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) != nil {
			return // the thread stays locked, and is not used again
		}
	}
	runtime.UnlockOSThread()
}

func (n *netProbe) run() {
	const loopback = 1
	n.generic = tryXDP(loopback, link.XDPGenericMode)
	n.qdisc = addClsact(loopback)
	n.tcxLink = tryLink(&ebpf.ProgramSpec{Type: ebpf.SchedCLS}, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachTCX(link.TCXOptions{Interface: loopback, Program: p, Attach: ebpf.AttachTCXIngress})
	})
	n.nkLink = tryLink(&ebpf.ProgramSpec{Type: ebpf.SchedCLS}, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachNetkit(link.NetkitOptions{Interface: noInterface, Program: p, Attach: ebpf.AttachNetkitPrimary})
	})
	if errors.Is(n.nkLink, unix.ENODEV) {
		n.nkLink = nil
	}
	nf := &ebpf.ProgramSpec{Type: ebpf.Netfilter, AttachType: ebpf.AttachNetfilter}
	n.nfLink = tryLink(nf, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachNetfilter(link.NetfilterOptions{
			Program: p, ProtocolFamily: link.NetfilterProtoIPv4, Hook: link.NetfilterInetLocalIn, Priority: -128,
		})
	})
	n.lookup = tryNetns(&ebpf.ProgramSpec{Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup})
	n.dissector = tryNetns(&ebpf.ProgramSpec{Type: ebpf.FlowDissector, AttachType: ebpf.AttachFlowDissector})
	var index int
	if index, n.device = addVeth("bwlprobe0"); n.device == nil {
		n.native = tryXDP(index, link.XDPDriverMode)
	}
}

// result puts the reason why nothing could be tried before the answer.
func (n *netProbe) result(err error) error {
	if n.unshared != nil {
		return fmt.Errorf("%w: %w", errUntried, n.unshared)
	}
	return err
}

func (n *netProbe) xdpNative() error {
	if n.device != nil {
		return n.result(fmt.Errorf("make a veth pair: %w", n.device))
	}
	return n.result(n.native)
}
func (n *netProbe) xdpGeneric() error    { return n.result(n.generic) }
func (n *netProbe) clsact() error        { return n.result(n.qdisc) }
func (n *netProbe) tcx() error           { return n.result(n.tcxLink) }
func (n *netProbe) netkit() error        { return n.result(n.nkLink) }
func (n *netProbe) netfilter() error     { return n.result(n.nfLink) }
func (n *netProbe) skLookup() error      { return n.result(n.lookup) }
func (n *netProbe) flowDissector() error { return n.result(n.dissector) }

// tryXDP attaches a program that passes everything.
func tryXDP(index int, mode link.XDPAttachFlags) error {
	return tryLink(&ebpf.ProgramSpec{Type: ebpf.XDP}, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachXDP(link.XDPOptions{Program: p, Interface: index, Flags: mode})
	})
}

// tryNetns attaches a program to the network namespace of this thread.
func tryNetns(spec *ebpf.ProgramSpec) error {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer ns.Close()
	return tryLink(spec, func(p *ebpf.Program) (link.Link, error) { return link.AttachNetNs(int(ns.Fd()), p) })
}

// addVeth makes a veth pair in this thread's network namespace and answers the index of the end with that name.
func addVeth(name string) (int, error) {
	info := netlinkAttr(unix.IFLA_INFO_KIND, []byte("veth"))
	body := make([]byte, unix.SizeofIfInfomsg)
	body = append(body, netlinkAttr(unix.IFLA_IFNAME, append([]byte(name), 0))...)
	body = append(body, netlinkAttr(unix.IFLA_LINKINFO, info)...)
	if err := netlinkCreate(unix.RTM_NEWLINK, body); err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr)
	return int(ifr.Uint32()), err
}

// sizeofTcMsg is the size of the kernel's struct tcmsg.
const sizeofTcMsg = 20

// addClsact gives an interface the queueing discipline that classic tc programs hang on.
func addClsact(index int) error {
	body := make([]byte, sizeofTcMsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], 0xffff0000)  // handle
	binary.NativeEndian.PutUint32(body[12:], 0xfffffff1) // parent: TC_H_CLSACT
	return netlinkCreate(unix.RTM_NEWQDISC, append(body, netlinkAttr(unix.TCA_KIND, []byte("clsact\x00"))...))
}

// netlinkAttr encodes an attribute, padded to four bytes.
func netlinkAttr(typ uint16, value []byte) []byte {
	b := make([]byte, (4+len(value)+3)&^3)
	binary.NativeEndian.PutUint16(b, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[2:], typ)
	copy(b[4:], value)
	return b
}

// netlinkCreate sends a request to create something and waits for the kernel's answer.
func netlinkCreate(typ uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer unix.Close(fd)
	msg := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(msg, uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(msg[4:], typ)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if err := unix.Sendto(fd, append(msg, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send to netlink: %w", err)
	}
	answer := make([]byte, os.Getpagesize())
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return fmt.Errorf("read from netlink: %w", err)
	}
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return errors.New("netlink gave an answer that is none")
	}
	if no := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); no != 0 {
		return unix.Errno(-no)
	}
	return nil
}

package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var kernelFunctions = []function{
	{"kernel_info", (*instance).kernelInfo},
	{"kernel_probe", (*instance).kernelProbe},
	{"kernel_symbol", (*instance).kernelSymbol},
	{"kernel_symbolize", (*instance).kernelSymbolize},
	{"process_symbolize", (*instance).processSymbolize},
	{"kernel_type", (*instance).kernelType},
	{"kernel_interfaces", (*instance).kernelInterfaces},
	{"kernel_cgroup_id", (*instance).kernelCgroupID},
	{"kernel_cgroup_path", (*instance).kernelCgroupPath},
	{"kernel_clock", (*instance).kernelClock},
	{"socket_open", (*instance).socketOpen},
	{"process_open", (*instance).processOpen},
	{"cgroup_open", (*instance).cgroupOpen},
	{"file_open", (*instance).fileOpen},
}

// kernelInfo is kernel_info(out).
func (i *instance) kernelInfo(c *call) error {
	room := c.room("kernel_info")
	if !c.ok() {
		return nil
	}
	possible, err := kernel.PossibleCPUs()
	if err != nil {
		return err
	}
	online, err := kernel.OnlineCPUs()
	if err != nil {
		return err
	}
	v := kernel.Running()
	release, machine := kernel.Release()
	out := abi.KernelInfo{
		Version:  uint32(v.Major)<<16 | uint32(v.Minor)<<8 | uint32(min(v.Patch, 255)),
		PageSize: uint32(os.Getpagesize()), CPUs: uint32(possible), OnlineCPUs: uint32(len(online)), PointerSize: uint32(kernel.PointerSize()),
	}
	if isBigEndian {
		out.Flags |= abi.KernelBigEndian
	}
	if kernel.BTF() == nil {
		out.Flags |= abi.KernelHasBTF
	}
	if kernel.JIT() {
		out.Flags |= abi.KernelJIT
	}
	copy(out.Release[:len(out.Release)-1], release)
	copy(out.Machine[:len(out.Machine)-1], machine)
	return putStruct(room, &out)
}

// isBigEndian is the byte order of keys, values and records.
var isBigEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 0
}()

// kernelSymbol is kernel_symbol(name, out).
func (i *instance) kernelSymbol(c *call) error {
	name, out := c.text("name"), c.outU64()
	if !c.ok() {
		return nil
	}
	if err := i.s.May(policy.Action{Kind: policy.Symbols}); err != nil {
		return err
	}
	sym, err := i.symbols.Address(name)
	if err != nil {
		return symbolError(err)
	}
	putU64(out, sym.Address)
	return nil
}

// kernelSymbolize is kernel_symbolize(address, buf, out_len, out_offset).
func (i *instance) kernelSymbolize(c *call) error {
	address, buf, outLen, outOffset := c.u64(), c.bytes("buffer"), c.outU32(), c.outU64()
	if !c.ok() {
		return nil
	}
	if err := i.s.May(policy.Action{Kind: policy.Symbols}); err != nil {
		return err
	}
	sym, err := i.symbols.Name(address)
	if err != nil {
		return symbolError(err)
	}
	name := sym.Name
	if sym.Module != "" {
		name += " [" + sym.Module + "]"
	}
	putText(buf, outLen, name)
	putU64(outOffset, sym.Offset)
	return nil
}

// symbolError gives an error of a look-up its number: NOENT, or PERM where addresses are hidden.
func symbolError(err error) error {
	switch {
	case errors.Is(err, kernel.ErrNoSymbol):
		return &fault{abi.NOENT, err.Error()}
	case errors.Is(err, kernel.ErrPermission), errors.Is(err, os.ErrPermission):
		return &fault{abi.PERM, err.Error()}
	}
	return err
}

// processSymbolize is process_symbolize(pid, address, buf, out_len, out_offset).
func (i *instance) processSymbolize(c *call) error {
	pid, address, buf, outLen, outOffset := c.i32(), c.u64(), c.bytes("buffer"), c.outU32(), c.outU64()
	if !c.ok() {
		return nil
	}
	if err := i.s.May(policy.Action{Kind: policy.ProcessSymbols}); err != nil {
		return err
	}
	if pid <= 0 {
		return fmt.Errorf("symbolize: %w: %d is no process id", session.ErrArgument, pid)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
		return &fault{abi.SRCH, fmt.Sprintf("symbolize: no process %d", pid)}
	}
	sym, err := i.processes.Find(int(pid), address)
	if err != nil {
		return symbolError(err)
	}
	if sym.Module == "" {
		return &fault{abi.NOENT, fmt.Sprintf("symbolize %#x of process %d: the memory there is of no file", address, pid)}
	}
	text := sym.Module
	if sym.Name != "" {
		text = sym.Name + " " + sym.Module
	}
	putText(buf, outLen, text)
	putU64(outOffset, sym.Offset)
	return nil
}

// kernelType is kernel_type(type, field, out).
func (i *instance) kernelType(c *call) error {
	typ, field, room := c.text("type"), c.text("field"), c.room("type_info")
	if !c.ok() {
		return nil
	}
	if field == "" {
		info, err := bpf.KernelType(typ)
		if err != nil {
			return err
		}
		return putStruct(room, &abi.TypeInfo{ID: info.ID, Size: info.Size, BitSize: info.Size * 8, Kind: btfKind(string(info.Kind))})
	}
	info, err := bpf.KernelField(typ, field)
	if err != nil {
		return err
	}
	return putStruct(room, &abi.TypeInfo{
		BitOffset: info.BitOffset, BitSize: uint32(min(info.BitSize, math.MaxUint32)), Size: info.Size, Kind: btfKind(string(info.Kind)),
	})
}

// kernelInterfaces is kernel_interfaces(buf, out_count).
func (i *instance) kernelInterfaces(c *call) error {
	buf, out := c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	all, err := kernel.Interfaces()
	if err != nil {
		return err
	}
	for _, dev := range all {
		entry := abi.Interface{Index: uint32(dev.Index), MTU: uint32(dev.MTU), Flags: deviceFlags(dev)}
		copy(entry.MAC[:], dev.MAC)
		copy(entry.Name[:len(entry.Name)-1], dev.Name)
		size := binary.Size(&entry)
		if len(buf) < size {
			break
		}
		if err := putStruct(buf[:size], &entry); err != nil {
			return err
		}
		buf = buf[size:]
	}
	putU32(out, uint32(len(all)))
	return nil
}

// deviceFlags are IFF_*.
func deviceFlags(dev kernel.Interface) (f uint32) {
	for _, x := range []struct {
		set  bool
		flag uint32
	}{
		{dev.Up, unix.IFF_UP}, {dev.Running, unix.IFF_RUNNING}, {dev.Loopback, unix.IFF_LOOPBACK},
		{dev.PointToPoint, unix.IFF_POINTOPOINT}, {dev.Broadcast, unix.IFF_BROADCAST}, {dev.Multicast, unix.IFF_MULTICAST},
	} {
		if x.set {
			f |= x.flag
		}
	}
	return f
}

// btfKind is the number of a kind of type.
func btfKind(name string) uint32 {
	if name == "pointer" {
		name = "ptr"
	}
	return uint32(max(slices.Index(abi.BTFKinds(), name), 0))
}

// kernelCgroupID is kernel_cgroup_id(path, out).
func (i *instance) kernelCgroupID(c *call) error {
	path, out := c.text("path"), c.outU64()
	if !c.ok() {
		return nil
	}
	if err := i.s.May(policy.Action{Kind: policy.CgroupID}); err != nil {
		return err
	}
	id, err := kernel.CgroupID(i.s.Resolve(path))
	if err != nil {
		return placeError(err)
	}
	putU64(out, id)
	return nil
}

// kernelCgroupPath is kernel_cgroup_path(id, buf, out_len).
func (i *instance) kernelCgroupPath(c *call) error {
	id, buf, outLen := c.u64(), c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	if err := i.s.May(policy.Action{Kind: policy.CgroupID}); err != nil {
		return err
	}
	path, err := kernel.CgroupPath(id)
	if err != nil {
		return placeError(err)
	}
	putText(buf, outLen, path)
	return nil
}

// clocks are those that BPF programs have.
var clocks = map[uint32]kernel.Clock{
	abi.ClockMonotonic: kernel.Monotonic, abi.ClockBoottime: kernel.Boottime, abi.ClockTAI: kernel.TAI,
}

// kernelClock is kernel_clock(clock, out).
func (i *instance) kernelClock(c *call) error {
	number, out := c.u32(), c.outU64()
	if !c.ok() {
		return nil
	}
	clock, ok := clocks[number]
	if !ok {
		return fmt.Errorf("read clock: %w: no clock %d", session.ErrArgument, number)
	}
	now, err := clock.Now()
	if err != nil {
		return err
	}
	putU64(out, uint64(now))
	return nil
}

// socketOpen is socket_open(pid, fd, out).
func (i *instance) socketOpen(c *call) error {
	pid, fd, out := c.i32(), c.i32(), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenSocket(pid, fd)
	return putHandle(out, h, err)
}

// processOpen is process_open(pid, out).
func (i *instance) processOpen(c *call) error {
	pid, out := c.i32(), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenProcess(pid)
	return putHandle(out, h, err)
}

// cgroupOpen is cgroup_open(path, out).
func (i *instance) cgroupOpen(c *call) error {
	path, out := c.text("path"), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenCgroup(path)
	return putHandle(out, h, placeError(err))
}

// fileOpen is file_open(path, out).
func (i *instance) fileOpen(c *call) error {
	path, out := c.text("path"), c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.OpenFile(path)
	return putHandle(out, h, placeError(err))
}

package bpf

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

var keyOne = binary.NativeEndian.AppendUint32(nil, 1)

// made makes a map of a type with the options that fit it.
func made(t testing.TB, typ ebpf.MapType) *Map {
	o := everyType(t)[typ]
	o.Type = typ
	return create(t, o)
}

func TestProgramsInAProgramArray(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m := getMap(t, o, "jumps")
	if err := m.PutProgram(make([]byte, 4), getProgram(t, o, "second"), 0); err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 4)
	info, err := getProgram(t, o, "second").Info()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.LookupInto(make([]byte, 4), id, 0); err != nil || binary.NativeEndian.Uint32(id) != info.ID {
		t.Errorf("got %d, %v, want %d", binary.NativeEndian.Uint32(id), err, info.ID)
	}
	wantError(t, m.PutProgram([]byte{1}, getProgram(t, o, "second"), 0), ErrSize)
	wantError(t, getMap(t, o, "array").PutProgram(make([]byte, 4), getProgram(t, o, "second"), 0), ErrType, "not a program array")
	var none *Program
	wantError(t, m.PutProgram(make([]byte, 4), none, 0), os.ErrClosed)
	p := getProgram(t, o, "second")
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, made(t, ebpf.ProgramArray).PutProgram(make([]byte, 4), p, 0), os.ErrClosed)
}

func TestMapsInMaps(t *testing.T) {
	inner := create(t, MapOptions{Name: "inside", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	other := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	setCounter(t, inner, 5)
	for _, typ := range []ebpf.MapType{ebpf.ArrayOfMaps, ebpf.HashOfMaps} {
		m := made(t, typ)
		if _, err := m.GetMap(keyOne); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("%s: got %v", typ, err)
		}
		if err := m.PutMap(keyOne, inner, 0); err != nil {
			t.Fatal(err)
		}
		got, err := m.GetMap(keyOne)
		if err != nil {
			t.Fatal(err)
		}
		if mapID(t, got) != mapID(t, inner) || got.Name() != "inside" || counter(t, got) != 5 {
			t.Errorf("%s: got %s", typ, got)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
		wantError(t, m.PutMap(keyOne, other, 0), unix.EINVAL, "update in map "+typ.String())
		wantError(t, other.PutMap(keyOne, inner, 0), ErrType, "not an array or a hash of maps")
		_, err = other.GetMap(keyOne)
		wantError(t, err, ErrType)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, made(t, ebpf.HashOfMaps).PutMap(keyOne, other, 0), os.ErrClosed)
}

func TestSocketsInMaps(t *testing.T) {
	kerneltest.RequireRoot(t)
	a, _ := tcpPair(t)
	raw, err := a.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []ebpf.MapType{ebpf.SockMap, ebpf.SockHash} {
		for _, size := range []uint32{4, 8} {
			m := create(t, MapOptions{Type: typ, KeySize: 4, ValueSize: size, MaxEntries: 4})
			var err error
			if cerr := raw.Control(func(fd uintptr) { err = m.PutSocket(keyOne, int(fd), 0) }); err != nil || cerr != nil {
				t.Errorf("%s, %d bytes: %v", typ, size, err)
			}
			if size == 8 {
				cookie := make([]byte, 8)
				if err := m.LookupInto(keyOne, cookie, 0); err != nil || binary.NativeEndian.Uint64(cookie) == 0 {
					t.Errorf("%s: got %x, %v", typ, cookie, err)
				}
			}
		}
	}
	m := made(t, ebpf.SockMap)
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wantError(t, m.PutSocket(keyOne, int(f.Fd()), 0), unix.ENOTSOCK)
	wantError(t, m.PutSocket(keyOne, -1, 0), unix.EINVAL)
	wantError(t, made(t, ebpf.Hash).PutSocket(keyOne, 0, 0), ErrType)
	if !m.ValuesAreFDs() || m.KeysAreFDs() {
		t.Error("values of a sockmap are descriptors")
	}
}

func TestReuseportArraysTakeBoundSockets(t *testing.T) {
	m := made(t, ebpf.ReusePortSockArray)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})); err != nil {
		t.Fatal(err)
	}
	if err := m.PutSocket(keyOne, fd, 0); err != nil {
		t.Error(err)
	}
}

func TestXSKMapsTakeSocketsOfAFXDP(t *testing.T) {
	m := made(t, ebpf.XSKMap)
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	// Linux 7.3 takes no socket that could not receive.
	if err := unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, 64); err != nil {
		t.Fatal(err)
	}
	if err := m.PutSocket(keyOne, fd, 0); err != nil {
		t.Error(err)
	}
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(udp)
	wantError(t, m.PutSocket(keyOne, udp, 0), unix.EOPNOTSUPP)
}

func TestDevicesAndCPUsForward(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.Netns(t)
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	index := binary.NativeEndian.AppendUint32(nil, uint32(lo.Index))
	_, p := loadHook(t, "net", "xdp_devmap")
	for _, typ := range []ebpf.MapType{ebpf.DevMap, ebpf.DevMapHash} {
		m := made(t, typ)
		if err := m.PutForward(keyOne, index, nil, 0); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		got := make([]byte, 8)
		if err := m.LookupInto(keyOne, got, 0); err != nil || binary.NativeEndian.Uint32(got) != uint32(lo.Index) || binary.NativeEndian.Uint32(got[4:]) != 0 {
			t.Errorf("%s: got %x, %v", typ, got, err)
		}
		if err := m.PutForward(keyOne, index, p, 0); err != nil {
			t.Errorf("%s with a program: %v", typ, err)
		}
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.LookupInto(keyOne, got, 0); err != nil || binary.NativeEndian.Uint32(got[4:]) != info.ID {
			t.Errorf("%s: got %x, %v, want program %d", typ, got, err, info.ID)
		}
		small := create(t, MapOptions{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 4})
		if err := small.PutForward(keyOne, index, nil, 0); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		wantError(t, small.PutForward(keyOne, index, p, 0), ErrSize, "no room for a program")
		if small.ValuesAreFDs() || !m.ValuesAreFDs() {
			t.Errorf("%s: only values with a program are descriptors", typ)
		}
		wantError(t, m.PutForward(keyOne, index[:3], nil, 0), ErrSize)
	}
	cpus := made(t, ebpf.CPUMap)
	if err := cpus.PutForward(make([]byte, 4), binary.NativeEndian.AppendUint32(nil, 128), nil, 0); err != nil {
		t.Error(err)
	}
	wantError(t, made(t, ebpf.Hash).PutForward(keyOne, index, nil, 0), ErrType)
}

func TestCgroupsInACgroupArray(t *testing.T) {
	m := made(t, ebpf.CGroupArray)
	name := kerneltest.Cgroup(t)
	if err := m.PutCgroup(keyOne, name); err != nil {
		t.Error(err)
	}
	if err := m.Delete(keyOne); err != nil {
		t.Error(err)
	}
	if err := m.PutCgroup(keyOne, "no/such/group"); err == nil {
		t.Error("a cgroup that is not there was put")
	}
	wantError(t, made(t, ebpf.Hash).PutCgroup(keyOne, "."), ErrType)
}

func TestStorageBelongsToItsOwner(t *testing.T) {
	kerneltest.RequireRoot(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	dir := t.TempDir()
	for typ, owners := range map[ebpf.MapType][2]Owner{
		ebpf.SkStorage:     {{Socket: fd}, {Socket: other}},
		ebpf.TaskStorage:   {{}, {PID: os.Getppid()}},
		ebpf.InodeStorage:  {{Path: dir}, {Path: "/dev/null"}},
		ebpf.CgroupStorage: {{Cgroup: kerneltest.Cgroup(t)}, {Cgroup: "."}},
	} {
		t.Run(typ.String(), func(t *testing.T) {
			m := made(t, typ)
			if !m.KeysAreFDs() {
				t.Error("its keys are descriptors")
			}
			value, got := []byte("twelve bytes"), make([]byte, 12)
			if typ == ebpf.InodeStorage && kernel.BPFLSM() != nil {
				if err := m.UpdateOwner(owners[0], value, 0); err != nil { // newer kernels manage without
					wantError(t, err, ErrUnsupported, "only with the BPF LSM")
					return
				}
				if err := m.DeleteOwner(owners[0]); err != nil {
					t.Error(err)
				}
			}
			if err := m.LookupOwner(owners[0], got, 0); !errors.Is(err, ebpf.ErrKeyNotExist) {
				t.Errorf("got %v", err)
			}
			if err := errors.Join(m.UpdateOwner(owners[0], value, 0), m.LookupOwner(owners[0], got, 0)); err != nil || string(got) != string(value) {
				t.Errorf("got %q, %v", got, err)
			}
			if err := m.LookupOwner(owners[1], got, 0); !errors.Is(err, ebpf.ErrKeyNotExist) {
				t.Errorf("another owner has it, too: %v", err)
			}
			if err := m.DeleteOwner(owners[0]); err != nil {
				t.Error(err)
			}
			if err := m.DeleteOwner(owners[0]); !errors.Is(err, ebpf.ErrKeyNotExist) {
				t.Errorf("got %v", err)
			}
			wantError(t, m.UpdateOwner(owners[0], value[:3], 0), ErrSize)
		})
	}
}

func TestOwnersThatAreNotThere(t *testing.T) {
	wantError(t, made(t, ebpf.Hash).DeleteOwner(Owner{}), ErrType, "not storage")
	wantError(t, made(t, ebpf.SkStorage).DeleteOwner(Owner{Socket: -1}), unix.EBADF)
	wantError(t, made(t, ebpf.InodeStorage).DeleteOwner(Owner{Path: "/no/such/file"}), unix.ENOENT, `open "/no/such/file"`)
	wantError(t, made(t, ebpf.TaskStorage).DeleteOwner(Owner{PID: 1 << 30}), unix.ESRCH, "open process 1073741824")
}

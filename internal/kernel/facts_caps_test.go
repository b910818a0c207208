package kernel

import (
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// The table says what the kernel asks: with those capabilities no type is refused, with one less each is.
func TestTypesNeedJustTheCapabilitiesOfTheTable(t *testing.T) {
	if !Running().AtLeast(5, 8) {
		t.Skip("this kernel has no CAP_BPF")
	}
	if err := rlimit.RemoveMemlock(); err != nil { // before 5.11 it is another reason to refuse
		t.Fatal(err)
	}
	for _, f := range programFacts {
		checkCaps(t, f.typ.String(), ProgramCaps(f.typ), func() error {
			p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
				Type: f.typ, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
			})
			if err == nil {
				p.Close()
			}
			return err
		})
	}
	for _, f := range mapFacts {
		checkCaps(t, f.typ.String(), MapCaps(f.typ), func() error {
			return mapRefused(f.typ)
		})
	}
}

// mapRefused asks the kernel for a map of a type. That its sizes are wrong for the type is found out before or after the privilege.
func mapRefused(typ ebpf.MapType) error {
	attr := struct{ typ, key, value, entries, flags uint32 }{uint32(typ), 4, 4, 4096, 0}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

func checkCaps(t *testing.T, name string, caps []Cap, try func() error) {
	t.Helper()
	// Some kernels refuse what needs trampolines to everyone.
	if err := withCaps(t, caps, try); errors.Is(err, unix.EPERM) && !errors.Is(try(), unix.EPERM) {
		t.Errorf("%s: refused with %v: %v", name, caps, err)
	}
	for i := range caps {
		fewer := append(append([]Cap{}, caps[:i]...), caps[i+1:]...)
		if err := withCaps(t, fewer, try); err == nil {
			t.Errorf("%s: %v is enough", name, fewer)
		}
	}
}

func withCaps(t *testing.T, caps []Cap, f func() error) error {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&hdr, &had[0]); err != nil {
		t.Fatal(err)
	}
	fewer := had
	fewer[0].Effective, fewer[1].Effective = 0, 0
	for _, c := range caps {
		fewer[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&hdr, &fewer[0]); err != nil {
		t.Skip("needs root: ", err)
	}
	err := f()
	if back := unix.Capset(&hdr, &had[0]); back != nil {
		t.Fatal(back)
	}
	return err
}

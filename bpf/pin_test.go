package bpf

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// pinDir is a folder in a bpf file system of its own.
func pinDir(t testing.TB) *PinDir {
	t.Helper()
	kerneltest.RequireRoot(t)
	d, err := OpenPinDir(kerneltest.Bpffs(t) + "/bowline")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestPinnedMapsOutliveTheirMaker(t *testing.T) {
	d := pinDir(t)
	m := create(t, MapOptions{Name: "kept", Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4})
	key, value := []byte{1, 2, 3, 4}, []byte{8, 7, 6, 5, 4, 3, 2, 1}
	if err := errors.Join(m.Update(key, value, 0), d.PinMap("a.name", m), d.PinMap("again", m), m.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.name", "again"} {
		got, err := d.OpenMap(name, PinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		out := make([]byte, 8)
		if err := got.LookupInto(key, out, 0); err != nil || !slices.Equal(out, value) || got.Name() != "kept" && got.Name() != name {
			t.Errorf("%s: got %v, %v", got, out, err)
		}
	}
	readOnly, err := d.OpenMap("again", PinOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if err := readOnly.Update(key, value, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
	if names, err := d.List(); err != nil || !slices.Equal(names, []string{"a.name", "again"}) {
		t.Errorf("got %v, %v", names, err)
	}
	if err := d.Remove("again"); err != nil {
		t.Error(err)
	}
	wantError(t, d.Remove("again"), ErrNotFound, `remove pin "again"`)
	_, err = d.OpenMap("again", PinOptions{})
	wantError(t, err, ErrNotFound, `open pin "again"`)
}

func TestPinnedProgramsAndLinks(t *testing.T) {
	d := pinDir(t)
	kerneltest.Netns(t)
	o, p := loadHook(t, "net", "xdp_pass")
	l := mustAttach(t, p, Target{Interface: "lo", Mode: XDPGeneric})
	if err := errors.Join(d.PinProgram("prog", p), d.PinLink("link", l), d.PinMap("map", getMap(t, o, "hits"))); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}

	prog, err := d.OpenProgram("prog")
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if prog.Type() != ebpf.XDP || prog.Hook() != HookXDP || prog.Object() != nil {
		t.Errorf("got %s on %s", prog, prog.Hook())
	}
	opened, err := d.OpenLink("link")
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if opened.Hook() != HookXDP || opened.Target() != "lo" || opened.Program() != nil || opened.String() == "" {
		t.Errorf("got %s", opened)
	}
	if info, err := opened.Info(); err != nil || info.Kind != LinkXDP || info.Interface != 1 {
		t.Errorf("got %+v, %v", info, err)
	}
	if err := opened.Update(prog); err != nil || opened.Program() != prog {
		t.Errorf("got %v", err)
	}

	_, err = d.OpenMap("prog", PinOptions{})
	wantError(t, err, ErrType, "it is a program, not a map")
	_, err = d.OpenMap("link", PinOptions{})
	wantError(t, err, ErrType, "it is a link, not a map")
	_, err = d.OpenProgram("map")
	wantError(t, err, ErrType, "it is a map, not a program")
	_, err = d.OpenProgram("link")
	wantError(t, err, ErrType, "it is a link, not a program")
	_, err = d.OpenLink("map")
	wantError(t, err, ErrType, "it is a map, not a link")
	_, err = d.OpenLink("prog")
	wantError(t, err, ErrType, "it is a program, not a link")
	wantError(t, d.PinMap("prog", create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})), os.ErrExist, "the name is taken")
	if err := errors.Join(d.Remove("link"), opened.Close()); err != nil {
		t.Error(err)
	}
}

func TestNamesOfPinsLeadNowhereElse(t *testing.T) {
	d := pinDir(t)
	m := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../up", "/abs", "a\x00b", "ä", "a b", "a\n", strings.Repeat("a", 65), "a\\b", "*"} {
		wantError(t, d.PinMap(name, m), ErrName)
		_, err := d.OpenMap(name, PinOptions{})
		wantError(t, err, ErrName)
		_, err = d.OpenProgram(name)
		wantError(t, err, ErrName)
		_, err = d.OpenLink(name)
		wantError(t, err, ErrName)
		wantError(t, d.Remove(name), ErrName)
	}
	for _, name := range []string{"a", "A-Z_0.9", strings.Repeat("a", 64), "-"} {
		if err := errors.Join(d.PinMap(name, m), d.Remove(name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if names, err := d.List(); len(names) != 0 || err != nil {
		t.Errorf("got %v, %v", names, err)
	}
}

func TestFoldersThatCannotHoldPins(t *testing.T) {
	kerneltest.RequireRoot(t)
	_, err := OpenPinDir(t.TempDir())
	wantError(t, err, ErrUnsupported, "not in a bpf file system", "mount -t bpf bpf /sys/fs/bpf")
	_, err = OpenPinDir(t.TempDir() + "/new")
	wantError(t, err, ErrUnsupported, "not in a bpf file system", "mount -t bpf bpf /sys/fs/bpf")
	_, err = OpenPinDir("/nosuch/folder/at/all")
	wantError(t, err, unix.ENOENT, "/nosuch")
	_, err = OpenPinDir("a\x00b")
	wantError(t, err, unix.EINVAL)
	root := kerneltest.Bpffs(t)
	if err := os.Mkdir(root+"/open", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root+"/open", 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = OpenPinDir(root + "/open")
	wantError(t, err, ErrPermission, "that only user 0 may write to", "0777")
	if err := os.Symlink("open", root+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err = OpenPinDir(root + "/link"); err == nil {
		t.Error("it followed a symbolic link")
	}
}

func TestPinsAfterClose(t *testing.T) {
	d := pinDir(t)
	m := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	wantError(t, d.PinMap("a", m), os.ErrClosed)
	_, err := d.OpenMap("a", PinOptions{})
	wantError(t, err, os.ErrClosed)
	_, err = d.List()
	wantError(t, err, os.ErrClosed)
	wantError(t, d.Remove("a"), os.ErrClosed)
	open := pinDir(t)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wantError(t, open.PinMap("a", m), os.ErrClosed)
}

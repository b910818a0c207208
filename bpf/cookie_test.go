package bpf

import (
	"context"
	"encoding/binary"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

// seen is a map in which programs note the cookies that they got: how often each of 0 to 7.
func seen(t *testing.T) (*Map, func() [8]uint64) {
	t.Helper()
	kerneltest.RequireRoot(t)
	m, err := CreateMap(MapOptions{Name: "seen", Type: ebpf.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, func() (n [8]uint64) {
		t.Helper()
		v := make([]byte, 64)
		if err := m.LookupInto(make([]byte, 4), v, 0); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			n[i] = binary.NativeEndian.Uint64(v[8*i:])
		}
		return n
	}
}

// noteCookie is a program that counts the cookie that it gets.
func noteCookie(t *testing.T, section string, m *Map) *Program {
	t.Helper()
	p, err := LoadProgram(ProgramOptions{
		Name: "note", Section: section, License: "GPL", Map: func(int32) (*Map, error) { return m, nil }, Insns: code(t,
			asm.FnGetAttachCookie.Call(),
			asm.And.Imm(asm.R0, 7), asm.LSh.Imm(asm.R0, 3),
			asm.LoadMapValue(asm.R1, 7, 0),
			asm.Add.Reg(asm.R1, asm.R0),
			asm.Mov.Imm(asm.R2, 1), asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
			asm.Mov.Imm(asm.R0, 0), asm.Return())})
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestEachFunctionOfAListHasItsCookie(t *testing.T) {
	m, count := seen(t)
	p := noteCookie(t, "kprobe.multi", m)
	l := attachOwn(t, p, Target{Symbols: []string{"vfs_read", "vfs_write"}, Cookies: []uint64{2, 5}})
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n := count(); n[5] == 0 || n[0] != 0 {
		t.Errorf("after a write: got %v", n)
	}
	before := count()[2]
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil { // pread
		t.Fatal(err)
	}
	if n := count(); n[2] == before {
		t.Errorf("after a read: got %v", n)
	}
	if info, err := l.Info(); err != nil || info.Kind != LinkKprobeMulti || kernel.Running().AtLeast(6, 6) && info.Count != 2 {
		t.Errorf("got %+v, %v", info, err)
	}
	_, err = p.Attach(Target{Symbols: []string{"vfs_read", "no_such_function_at_all"}})
	wantError(t, err, os.ErrNotExist, "no_such_function_at_all")
}

func TestListsOfFunctionsMustFit(t *testing.T) {
	kerneltest.RequireRoot(t)
	p := &Program{name: "p", hook: HookKprobeMulti, spec: &ebpf.ProgramSpec{Type: ebpf.Kprobe}}
	for word, target := range map[string]Target{
		"and no list": {Symbol: "f", Cookies: []uint64{1}}, "another place": {Symbol: "f", Symbols: []string{"g"}},
		"2 cookies for 1": {Symbols: []string{"f"}, Cookies: []uint64{1, 2}}, "more than": {Symbols: make([]string, maxMatches+1)},
	} {
		_, err := attachKprobeMulti(p, target)
		wantError(t, err, ErrTarget, word)
	}
	_, up := loadHook(t, "trace", "up")
	_, err := up.Attach(Target{Path: self, Symbols: []string{"f"}})
	wantError(t, err, ErrTarget, "multi hooks")
}

func TestEachFunctionOfALibraryHasItsCookie(t *testing.T) {
	m, count := seen(t)
	p := noteCookie(t, "uprobe.multi", m)
	attachOwn(t, p, Target{Path: "libc", Symbols: []string{"malloc", "exit"}, Cookies: []uint64{3, 6}})
	runTrue(t)()
	if n := count(); n[3] == 0 || n[6] == 0 || n[0] != 0 {
		t.Errorf("got %v", n)
	}
	_, err := p.Attach(Target{Path: "libc", Symbols: []string{"malloc", "no_such_function"}})
	wantError(t, err, os.ErrNotExist, "no_such_function")
}

func TestUprobeSessionRunsAtEntryAndReturn(t *testing.T) {
	if !kernel.Running().AtLeast(6, 13) {
		t.Skip("Linux 6.13")
	}
	m, count := seen(t)
	l := attachOwn(t, noteCookie(t, "uprobe.session", m), Target{Path: self, Offset: probedOffset(t), PID: os.Getpid(), Cookie: 4})
	callProbed()
	if n := count(); n[4] != 2 {
		t.Errorf("got %v, want two runs", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	callProbed()
	if n := count(); n[4] != 2 {
		t.Errorf("after it was closed: got %v", n)
	}
}

func TestRawTracepointsHaveCookies(t *testing.T) {
	m, count := seen(t)
	p, err := LoadProgram(ProgramOptions{Name: "probe", Section: "raw_tracepoint/sys_enter", License: "GPL", Insns: code(t,
		asm.FnGetAttachCookie.Call(), asm.Mov.Imm(asm.R0, 0), asm.Return())})
	if err != nil {
		if kernel.Running().AtLeast(6, 10) {
			t.Fatal(err)
		}
		// The helper came with the cookie; without it the answer must name the version.
		_, err = verdict(t, "raw_tracepoint/sys_enter", 0).Attach(Target{Cookie: 1})
		wantError(t, err, ErrUnsupported, "cookie", "6.10")
		return
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	l := attachOwn(t, noteCookie(t, "raw_tracepoint/sys_enter", m), Target{Cookie: 3})
	getpgid()
	if n := count(); n[3] == 0 {
		t.Errorf("got %v", n)
	}
	if info, err := l.Info(); err != nil || kernel.Running().AtLeast(6, 17) && info.Cookie != 3 {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestProgramsAreTracedByOthers(t *testing.T) {
	kerneltest.RequireRoot(t)
	target := tracedProgram(t)
	name := target.Name()
	m, count := seen(t)
	p, err := LoadProgram(ProgramOptions{
		Name: "trace", Section: "fentry/" + name, License: "GPL", Target: target, Map: func(int32) (*Map, error) { return m, nil }, Insns: code(t,
			asm.LoadMapValue(asm.R1, 7, 0), asm.Mov.Imm(asm.R2, 1), asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
			asm.Mov.Imm(asm.R0, 0), asm.Return())})
	if err != nil {
		kerneltest.SkipIfUnsupported(t, err)
		t.Fatal(err)
	}
	defer p.Close()
	l := attachOwn(t, p, Target{})
	if err := target.TestRun(context.Background(), &TestRun{Data: make([]byte, 64)}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n[0] != 1 {
		t.Errorf("got %v, want one run", n)
	}
	if info, err := l.Info(); err != nil || info.Kind != LinkTracing || info.AttachType != ebpf.AttachTraceFEntry {
		t.Errorf("got %+v, %v", info, err)
	}
	wantError(t, l.Detach(), ErrUnsupported)
	_, err = LoadProgram(ProgramOptions{Section: "fentry/none", License: "GPL", Insns: code(t, ret(0)...), Target: target})
	wantError(t, err, os.ErrNotExist, "has no function none")
}

// tracedProgram is an xdp program with types.
func tracedProgram(t *testing.T) *Program {
	t.Helper()
	s := open(t, "events")
	name := ""
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Hook == HookXDP); err != nil {
			t.Fatal(err)
		}
		if p.Hook == HookXDP {
			name = p.Name
		}
	}
	return getProgram(t, loadSpec(t, s, LoadOptions{NoLossCount: true}), name)
}

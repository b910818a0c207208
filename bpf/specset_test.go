package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestMapsAreConfiguredBeforeLoading(t *testing.T) {
	kerneltest.RequireRoot(t)
	s := open(t, "maps")
	if err := s.SetMapFlags("hash", unix.BPF_F_NO_PREALLOC); err != nil {
		t.Fatal(err)
	}
	o := loadSpec(t, s, LoadOptions{})
	if got := getMap(t, o, "hash").Flags(); got&unix.BPF_F_NO_PREALLOC == 0 {
		t.Errorf("got flags %#x", got)
	}
	wantError(t, s.SetMapFlags("none", 0), ErrNotFound, "hash")
	wantError(t, s.SetMapFlags(".data", 0), ErrType, "global variables")
	wantError(t, s.SetKeySize("none", 4), ErrNotFound)
	wantError(t, s.SetValueSize("none", 4), ErrNotFound)
	wantError(t, s.SetValueSize(".rodata", 400), ErrType, "global variables")
	wantError(t, s.SetValueSize("outer", 8), ErrSize, "contents")
	wantError(t, s.SetMaxEntries(".data", 2), ErrType, "global variables")
	m := s.coll.Maps["hash"]
	if err := errors.Join(s.SetKeySize("hash", m.KeySize), s.SetValueSize("hash", m.ValueSize)); err != nil {
		t.Errorf("the size that it has: %v", err)
	}
	if m.Key != nil {
		wantError(t, s.SetKeySize("hash", m.KeySize+4), ErrSize, "the object says")
	}
	m.Key, m.Value = nil, nil // as in an object without types
	if err := errors.Join(s.SetKeySize("hash", 12), s.SetValueSize("hash", 20)); err != nil {
		t.Fatal(err)
	}
	if got := s.Maps(); !slices.ContainsFunc(got, func(m MapSpec) bool { return m.Name == "hash" && m.KeySize == 12 && m.ValueSize == 20 }) {
		t.Errorf("got %+v", got)
	}
}

func TestAttachTargetIsSetBeforeLoading(t *testing.T) {
	kerneltest.RequireRoot(t)
	s := open(t, "hooks_trace")
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Name == "typed"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetAttachTo("typed", "sched_process_exec"); err != nil {
		t.Fatal(err)
	}
	o, err := s.Load(LoadOptions{})
	kerneltest.SkipIfUnsupported(t, err)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	p := getProgram(t, o, "typed")
	l := mustAttach(t, p, Target{})
	if info, err := l.Info(); err != nil || info.Name != "sched_process_exec" || p.AttachTo() != "sched_process_exec" {
		t.Errorf("got %+v, %v", info, err)
	}
	if err := s.SetAttachTo("typed", "no_such_tracepoint"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(LoadOptions{})
	wantError(t, err, ErrUnsupported, "typed", "no_such_tracepoint")
	wantError(t, s.SetAttachTo("none", "x"), ErrNotFound)
	wantError(t, s.SetAttachTo("typed", ""), ErrTarget)
	wantError(t, s.SetAttachTo("typed", "a\nb"), ErrTarget)
	wantError(t, s.SetAttachTo("typed", string(make([]byte, 10_000))), ErrTarget)
}

func TestTargetProgramsAreForThoseThatReplaceOrTrace(t *testing.T) {
	kerneltest.RequireRoot(t)
	s := open(t, "hooks_trampoline")
	target := verdict(t, "xdp", 2)
	wantError(t, open(t, "hooks_trace").SetTargetProgram("typed", target), ErrType, "tp_btf")
	wantError(t, s.SetTargetProgram("none", target), ErrNotFound)
	if err := s.SetTargetProgram("replacement", target); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Programs() {
		if err := s.SetLoad(p.Name, p.Name == "replacement"); err != nil {
			t.Fatal(err)
		}
	}
	// It has no types, so it has no function that could be replaced.
	_, err := s.Load(LoadOptions{})
	wantError(t, err, nil, "replacement")
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(LoadOptions{})
	wantError(t, err, os.ErrClosed, "replacement", "verdict")
	wantError(t, s.SetTargetProgram("replacement", target), os.ErrClosed)
	if err := s.SetTargetProgram("replacement", nil); err != nil {
		t.Fatal(err)
	}
}

func TestVariablesAreDescribed(t *testing.T) {
	s := open(t, "maps")
	got := map[string]VariableSpec{}
	for _, v := range s.VariableSpecs() {
		got[v.Name] = v
	}
	for name, want := range map[string]VariableSpec{
		"answer": {"answer", ".rodata", 0, 4, true}, "counter": {"counter", ".data", 0, 8, false}, "zeroed": {"zeroed", ".bss", 0, 8, false},
	} {
		if got[name] != want {
			t.Errorf("got %+v, want %+v", got[name], want)
		}
	}
	if v, err := s.Variable("answer"); err != nil || len(v) != 4 {
		t.Errorf("got %v, %v", v, err)
	}
	_, err := s.Variable("question")
	wantError(t, err, ErrNotFound, "answer")
}

func TestVariablesOfALoadedObject(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := load(t, "maps", LoadOptions{})
	v, err := o.Variable("zeroed")
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	if err := v.Set(want); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if err := v.Get(got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	m := getMap(t, o, ".bss")
	all := make([]byte, m.ValueSize())
	if err := m.LookupInto(make([]byte, 4), all, 0); err != nil || !bytes.Equal(all[v.Offset:][:8], want) {
		t.Errorf("the map has %v, %v", all, err)
	}
	wantError(t, v.Set(want[:7]), ErrSize, "7 bytes, not 8")
	wantError(t, v.Get(got[:0]), ErrSize)
	_, err = o.Variable("nobody")
	wantError(t, err, ErrNotFound, v.Name)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, v.Get(got), os.ErrClosed, v.Name)
	wantError(t, v.Set(got), os.ErrClosed)
}

func TestConstantsAreReadOnlyOnceLoaded(t *testing.T) {
	kerneltest.RequireRoot(t)
	s := open(t, "maps")
	if err := s.SetVariable("answer", []byte{7, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	o := loadSpec(t, s, LoadOptions{})
	v, err := o.Variable("answer")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if err := v.Get(got); err != nil || got[0] != 7 {
		t.Errorf("got %v, %v", got, err)
	}
	wantError(t, v.Set(got), ErrReadOnly, "answer", ".rodata", "before the object is loaded")
}

// A program adds to one variable while another one is set: neither is lost.
func TestSettingAVariableLosesNoneOfTheOthers(t *testing.T) {
	kerneltest.RequireRoot(t)
	if !kernel.Running().AtLeast(5, 14) {
		t.Skip("Linux 5.14: programs of type syscall")
	}
	o := load(t, "events", LoadOptions{})
	ours, err := o.Variable("sent_perf")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := o.Variable("sent_ring")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			run(t, o, "output", 1000)
		}
	}()
	b := make([]byte, 8)
	for n := uint64(1); ; n++ {
		binary.NativeEndian.PutUint64(b, n)
		if err := ours.Set(b); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
		default:
			continue
		}
		if err := ours.Get(b); err != nil || binary.NativeEndian.Uint64(b) != n {
			t.Errorf("ours: got %v, %v, want %d", b, err, n)
		}
		if err := theirs.Get(b); err != nil || binary.NativeEndian.Uint64(b) != 200*1000 {
			t.Errorf("the program's: got %d, %v", binary.NativeEndian.Uint64(b), err)
		}
		return
	}
}

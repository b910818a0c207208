package bpf

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
)

// open reads one of our test objects.
func open(t testing.TB, name string) *Spec {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// load loads one of our test objects until the end of the test.
func load(t testing.TB, name string, opts LoadOptions) *Object {
	t.Helper()
	return loadSpec(t, open(t, name), opts)
}

// loadAlso loads one of our test objects with programs that are not loaded unless asked for.
func loadAlso(t testing.TB, name string, programs ...string) *Object {
	t.Helper()
	s := open(t, name)
	for _, p := range programs {
		if err := s.SetLoad(p, true); err != nil {
			t.Fatal(err)
		}
	}
	return loadSpec(t, s, LoadOptions{})
}

func loadSpec(t testing.TB, s *Spec, opts LoadOptions) *Object {
	t.Helper()
	o, err := s.Load(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func getMap(t testing.TB, o *Object, name string) *Map {
	t.Helper()
	m, err := o.Map(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func getProgram(t testing.TB, o *Object, name string) *Program {
	t.Helper()
	p, err := o.Program(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The compiler puts the section of second before that of first, because a map refers to it.
func TestProgramsAreListedByPosition(t *testing.T) {
	s := open(t, "maps")
	var names []string
	for _, p := range s.Programs() {
		names = append(names, p.Name)
	}
	if want := []string{"second", "first", "optional"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	p := s.Programs()[1]
	if p.Section != "socket/first" || p.Type != ebpf.SocketFilter || p.Hook != HookSocket || p.License != "Dual BSD/GPL" || p.NeedsBTF || p.Optional {
		t.Errorf("got %+v", p)
	}
	if want := []string{"bpf_map_lookup_elem", "bpf_tail_call"}; !slices.Equal(p.Helpers, want) {
		t.Errorf("helpers: got %v, want %v", p.Helpers, want)
	}
	if want := []string{".data", ".rodata", "array", "jumps"}; !slices.Equal(p.Maps, want) {
		t.Errorf("maps: got %v, want %v", p.Maps, want)
	}
	if !s.Programs()[2].Optional {
		t.Error("a program with a leading question mark is optional")
	}
}

func TestNeedsBTFIsToldBeforeLoading(t *testing.T) {
	for name, want := range map[string]bool{"core": true, "plain": false, "maps": false} {
		if got := open(t, name).NeedsBTF(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestLoadFillsMapsAndSetsVariables(t *testing.T) {
	s := open(t, "maps")
	if err := s.SetVariable("answer", []byte{2, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetVariable("answer", []byte{2}); !errors.Is(err, ErrSize) {
		t.Errorf("got %v", err)
	}
	if err := s.SetVariable("question", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	o := loadSpec(t, s, LoadOptions{})
	if _, err := o.Program("optional"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an optional program was loaded: %v", err)
	}
	first := getProgram(t, o, "first")
	ret, _, err := first.Kernel().Test(make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	if ret != 2 { // the second program's answer, reached by the tail call
		t.Errorf("got %d, want 2", ret)
	}
	v := make([]byte, 8)
	if err := getMap(t, o, "array").LookupInto(make([]byte, 4), v, 0); err != nil || v[0] != 42 {
		t.Errorf("got %v, %v", v, err)
	}
	if err := getMap(t, o, "outer").LookupInto([]byte{1, 0, 0, 0}, make([]byte, 4), 0); err != nil {
		t.Errorf("the inner map is not there: %v", err)
	}
	for _, m := range o.Maps() {
		if m.Name() == lossMapName {
			t.Error("the hidden map is listed")
		}
	}
}

func TestTheSameSpecLoadsTwice(t *testing.T) {
	s := open(t, "maps")
	a, b := loadSpec(t, s, LoadOptions{}), loadSpec(t, s, LoadOptions{})
	key, v := []byte{1, 0, 0, 0}, []byte{9, 0, 0, 0, 0, 0, 0, 0}
	if err := getMap(t, a, "hash").Update(key, v, 0); err != nil {
		t.Fatal(err)
	}
	if err := getMap(t, b, "hash").LookupInto(key, v, 0); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the objects share a map: %v", err)
	}
}

func TestMapsCanBeShared(t *testing.T) {
	a := load(t, "maps", LoadOptions{})
	b := load(t, "maps", LoadOptions{Maps: map[string]*Map{"hash": getMap(t, a, "hash")}})
	key, v := []byte{1, 0, 0, 0}, []byte{9, 0, 0, 0, 0, 0, 0, 0}
	if err := getMap(t, a, "hash").Update(key, v, 0); err != nil {
		t.Fatal(err)
	}
	if err := getMap(t, b, "hash").LookupInto(key, v, 0); err != nil {
		t.Error(err)
	}
}

func TestCloseIsIdempotentAndEndsEverything(t *testing.T) {
	o := load(t, "maps", LoadOptions{})
	m, p := getMap(t, o, "hash"), getProgram(t, o, "first")
	if err := errors.Join(o.Close(), o.Close()); err != nil {
		t.Fatal(err)
	}
	if err := m.LookupInto(make([]byte, 4), make([]byte, 8), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := o.Attach(p, Target{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAttachRefusesForeignPrograms(t *testing.T) {
	a, b := load(t, "plain", LoadOptions{}), load(t, "plain", LoadOptions{})
	if _, err := a.Attach(getProgram(t, b, "exit_raw"), Target{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := a.Attach(nil, Target{}); err == nil {
		t.Error("no error for a nil program")
	}
}

func TestObjectOwnsItsLinks(t *testing.T) {
	o := load(t, "plain", LoadOptions{})
	p := getProgram(t, o, "exit_raw")
	l, err := o.Attach(p, Target{})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Links(); len(got) != 1 || got[0] != l {
		t.Errorf("got %v", got)
	}
	if err := errors.Join(o.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	good, err := os.ReadFile("testdata/plain.bpf.o")
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	for name, b := range map[string][]byte{
		"empty file":                 {},
		"not an ELF file":            []byte("#!/bin/sh\n"),
		"a WebAssembly module":       []byte("\x00asm\x01\x00\x00\x00"),
		"truncated ELF file":         good[:40],
		"lies outside the file":      good[:len(good)/2],
		"big-endian BPF":             change(func(b []byte) { b[5] = 2; b[18], b[19] = 0, 247 }),
		"for EM_X86_64, not for BPF": change(func(b []byte) { b[18] = 62 }),
		"a 32-bit ELF file":          change(func(b []byte) { b[4] = 1 }),
		"of type ET_EXEC":            change(func(b []byte) { b[16] = 2 }),
	} {
		_, err := Open(bytes.NewReader(b))
		var format *FormatError
		if !errors.As(err, &format) || !errors.Is(err, ErrFormat) || !bytes.Contains([]byte(err.Error()), []byte(name)) || bytes.ContainsRune([]byte(err.Error()), '\n') {
			if name == "lies outside the file" && errors.As(err, &format) {
				continue // the section headers lie at the end
			}
			t.Errorf("%s: got %v", name, err)
		}
	}
}

package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func symbolsOf(t *testing.T, text string) *KernelSymbols {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kallsyms")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &KernelSymbols{path: path}
}

const someSymbols = `ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t twice
ffffffff81000200 T vfs_read
ffffffff81000300 t twice
nonsense
ffffffffc0001000 t init	[nf_nat]
ffffffffc0002000 t bpf_prog_6deef7357e7b4530_dump	[bpf]
`

func TestKernelSymbolsAreFound(t *testing.T) {
	k := symbolsOf(t, someSymbols)
	for name, want := range map[string]Symbol{
		"vfs_read": {"vfs_read", "", 0xffffffff81000200, 0}, "init": {"init", "nf_nat", 0xffffffffc0001000, 0},
		"twice": {"twice", "", 0xffffffff81000100, 0},
	} {
		if got, err := k.Address(name); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
	if all, err := k.Addresses("twice"); err != nil || len(all) != 2 || all[1].Address != 0xffffffff81000300 {
		t.Errorf("got %v, %v", all, err)
	}
	for address, want := range map[uint64]Symbol{
		0xffffffff81000000: {"_stext", "", 0xffffffff81000000, 0},
		0xffffffff81000234: {"vfs_read", "", 0xffffffff81000200, 0x34},
		0xffffffffc0002010: {"bpf_prog_6deef7357e7b4530_dump", "bpf", 0xffffffffc0002000, 0x10},
	} {
		if got, err := k.Name(address); err != nil || got != want {
			t.Errorf("%#x: got %+v, %v, want %+v", address, got, err, want)
		}
	}
	for _, address := range []uint64{0, 1, 0xffffffff80ffffff, 0xffffffff90000000, 0xffffffffc0102000, ^uint64(0)} {
		if got, err := k.Name(address); !errors.Is(err, ErrNoSymbol) {
			t.Errorf("%#x: got %+v, %v", address, got, err)
		}
	}
	for _, name := range []string{"", "nobody", "vfs_rea", "vfs_read2"} {
		if got, err := k.Address(name); !errors.Is(err, ErrNoSymbol) {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
}

func TestHiddenKernelAddressesAreARefusal(t *testing.T) {
	k := symbolsOf(t, "0000000000000000 T _stext\n0000000000000000 T vfs_read\n")
	if _, err := k.Address("vfs_read"); !errors.Is(err, ErrPermission) {
		t.Errorf("got %v", err)
	}
	if _, err := k.Name(5); !errors.Is(err, ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestSymbolsAreReadAgainForWhatIsNew(t *testing.T) {
	k := symbolsOf(t, someSymbols)
	if _, err := k.Address("fresh"); !errors.Is(err, ErrNoSymbol) {
		t.Fatalf("got %v", err)
	}
	if err := os.WriteFile(k.path, []byte(someSymbols+"ffffffffc0003000 t fresh\t[fresh]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Address("fresh"); !errors.Is(err, ErrNoSymbol) {
		t.Errorf("it was read again within a second: %v", err)
	}
	k.read = k.read.Add(-retry)
	if got, err := k.Address("fresh"); err != nil || got.Module != "fresh" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTheRunningKernelsSymbols(t *testing.T) {
	var k KernelSymbols
	s, err := k.Address("vfs_read")
	if errors.Is(err, ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Name(s.Address + 1); err != nil || got.Name != "vfs_read" || got.Offset != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func BenchmarkReadKernelSymbols(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		t, err := readSymbols("/proc/kallsyms")
		if err != nil {
			b.Skip(err)
		}
		b.ReportMetric(float64(len(t.text)+18*len(t.addresses)), "bytes-kept")
	}
}

package kernel

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNoSymbol is matched by the error for a name or an address that the kernel or a process does not have.
var ErrNoSymbol = errors.New("no such symbol")

// Symbol is a function or a variable and a place in it.
type Symbol struct {
	// Name is the symbol's name, Module the kernel module that it belongs to: empty for the kernel itself, "bpf" for BPF programs.
	Name, Module string
	// Address is where it starts, Offset how far into it the address that was asked for lies.
	Address, Offset uint64
}

// KernelSymbols answers which functions and variables the kernel has where. The zero value reads nothing until it is asked; then it
// reads /proc/kallsyms, keeps it in a few megabytes and reads it again if something is missing, for modules and BPF programs come
// and go, at most once a second. It is for use by several goroutines at once.
//
// Where kernel.kptr_restrict or a missing CAP_SYSLOG hides addresses, every error matches [ErrPermission].
type KernelSymbols struct {
	// path is read in place of /proc/kallsyms in tests.
	path string

	// mu guards the fields that follow.
	mu    sync.Mutex
	read  time.Time
	table symbolTable
	err   error
}

// symbolTable holds symbols by address, without a pointer per symbol.
type symbolTable struct {
	addresses []uint64
	names     []uint32 // where a name starts in text; it ends with a zero byte
	modules   []uint16 // index in moduleNames
	byName    []uint32 // indexes of the above, by name
	text      []byte

	moduleNames []string
}

// retry is how soon the symbols are read again.
const retry = time.Second

// farAway is how far behind the start of a symbol an address is not taken to belong to it.
const (
	farAway         = 1 << 20
	farAwayInModule = 64 << 10
)

// Address returns where a symbol is: the lowest place, if there are several of that name (static functions). The error matches
// [ErrNoSymbol] or [ErrPermission].
func (k *KernelSymbols) Address(name string) (Symbol, error) {
	all, err := k.Addresses(name)
	if err != nil {
		return Symbol{}, err
	}
	return all[0], nil
}

// Addresses returns all symbols of a name, by address. It has the errors of [KernelSymbols.Address].
func (k *KernelSymbols) Addresses(name string) ([]Symbol, error) {
	var found []Symbol
	err := k.ask(func(t *symbolTable) bool {
		found = t.named(name)
		return len(found) > 0
	})
	if err != nil {
		return nil, fmt.Errorf("kernel symbol %.80q: %w", name, err)
	}
	return found, nil
}

// Name returns the symbol that an address of the kernel lies in. The error matches [ErrNoSymbol] or [ErrPermission].
func (k *KernelSymbols) Name(address uint64) (Symbol, error) {
	var found Symbol
	err := k.ask(func(t *symbolTable) (ok bool) {
		found, ok = t.at(address)
		return ok
	})
	if err != nil {
		return Symbol{}, fmt.Errorf("kernel address %#x: %w", address, err)
	}
	return found, nil
}

// ask looks into the table, after reading it again if it is not new and has not what is asked for.
func (k *KernelSymbols) ask(look func(*symbolTable) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		if k.err == nil && !k.read.IsZero() && look(&k.table) {
			return nil
		}
		if !k.read.IsZero() && time.Since(k.read) < retry {
			return cmp.Or(k.err, ErrNoSymbol)
		}
		k.table, k.err = readSymbols(cmp.Or(k.path, "/proc/kallsyms"))
		k.read = time.Now()
	}
}

func readSymbols(path string) (symbolTable, error) {
	f, err := os.Open(path)
	if err != nil {
		return symbolTable{}, fmt.Errorf("read kernel symbols: %w", err)
	}
	defer f.Close()
	return parseSymbols(f)
}

// maxSymbols bounds the table; kernels have some hundred thousand.
const maxSymbols = 8 << 20

// parseSymbols reads lines such as "ffffffff81000000 T _stext" and "ffffffffc0001000 t nf_nat_init	[nf_nat]".
func parseSymbols(r io.Reader) (symbolTable, error) {
	t := symbolTable{moduleNames: []string{""}}
	modules := map[string]uint16{"": 0}
	s := bufio.NewScanner(r)
	visible := false
	for s.Scan() {
		line := s.Bytes()
		hex, rest, ok := bytes.Cut(line, []byte{' '})
		_, rest, ok2 := bytes.Cut(rest, []byte{' '})
		if !ok || !ok2 || len(t.addresses) >= maxSymbols {
			continue
		}
		address, err := strconv.ParseUint(string(hex), 16, 64)
		if err != nil {
			continue
		}
		name, module, _ := bytes.Cut(rest, []byte{'\t'})
		module = bytes.Trim(module, "[]")
		number, known := modules[string(module)]
		if !known && len(modules) < 1<<16 {
			number = uint16(len(modules))
			modules[string(module)] = number
			t.moduleNames = append(t.moduleNames, string(module))
		}
		visible = visible || address != 0
		t.addresses = append(t.addresses, address)
		t.names = append(t.names, uint32(len(t.text)))
		t.modules = append(t.modules, number)
		t.text = append(append(t.text, name...), 0)
	}
	if err := s.Err(); err != nil {
		return symbolTable{}, fmt.Errorf("read kernel symbols: %w", err)
	}
	if !visible {
		return symbolTable{}, &Denied{What: "see the addresses of the kernel", Capability: "CAP_SYSLOG and a kernel.kptr_restrict of at most 1 (it is " + kptrRestrict() + ")"}
	}
	t.sort()
	return t, nil
}

func kptrRestrict() string {
	b, err := os.ReadFile("/proc/sys/kernel/kptr_restrict")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// sort puts the symbols in order of their addresses and makes the order by name.
func (t *symbolTable) sort() {
	order := make([]uint32, len(t.addresses))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(t.addresses[a], t.addresses[b]) })
	sorted := symbolTable{
		addresses: make([]uint64, len(order)), names: make([]uint32, len(order)), modules: make([]uint16, len(order)),
		text: slices.Clip(t.text), moduleNames: t.moduleNames,
	}
	for i, from := range order {
		sorted.addresses[i], sorted.names[i], sorted.modules[i] = t.addresses[from], t.names[from], t.modules[from]
	}
	for i := range order {
		order[i] = uint32(i)
	}
	sorted.byName = order
	slices.SortFunc(sorted.byName, func(a, b uint32) int {
		return cmp.Or(bytes.Compare(sorted.name(a), sorted.name(b)), cmp.Compare(a, b))
	})
	*t = sorted
}

// name is the name of the symbol at an index, in the table's memory.
func (t *symbolTable) name(i uint32) []byte {
	b := t.text[t.names[i]:]
	return b[:bytes.IndexByte(b, 0)]
}

func (t *symbolTable) symbol(i uint32, address uint64) Symbol {
	return Symbol{Name: string(t.name(i)), Module: t.moduleNames[t.modules[i]], Address: t.addresses[i], Offset: address - t.addresses[i]}
}

func (t *symbolTable) named(name string) []Symbol {
	at, ok := slices.BinarySearchFunc(t.byName, []byte(name), func(i uint32, name []byte) int { return bytes.Compare(t.name(i), name) })
	if !ok {
		return nil
	}
	var found []Symbol
	for ; at < len(t.byName) && string(t.name(t.byName[at])) == name; at++ {
		found = append(found, t.symbol(t.byName[at], t.addresses[t.byName[at]]))
	}
	return found
}

// at finds the symbol that starts last at or before an address. Of several at one address it takes the first, as the kernel does.
func (t *symbolTable) at(address uint64) (Symbol, bool) {
	i, ok := slices.BinarySearch(t.addresses, address)
	if !ok {
		if i--; i < 0 {
			return Symbol{}, false
		}
		for i > 0 && t.addresses[i-1] == t.addresses[i] {
			i--
		}
	}
	s := t.symbol(uint32(i), address)
	far := uint64(farAway)
	if s.Module != "" {
		far = farAwayInModule
	}
	return s, s.Offset < far && s.Address != 0
}

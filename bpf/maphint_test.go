package bpf

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The errors of maps say what was tried and what to do.
func TestErrorsOfMapsSayWhatToDo(t *testing.T) {
	key := func(n byte) []byte { return []byte{n, 0, 0, 0} }
	value := make([]byte, 8)
	hash := create(t, MapOptions{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	array := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	queue := create(t, MapOptions{Type: ebpf.Queue, ValueSize: 8, MaxEntries: 1})
	trie := create(t, MapOptions{Type: ebpf.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 1})
	frozen := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	readable := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_RDONLY})
	writable := create(t, MapOptions{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_WRONLY})
	if err := errors.Join(hash.Update(key(1), value, 0), queue.Update(nil, value, 0), trie.Update(make([]byte, 8), value, 0), frozen.Freeze()); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"it is full: 1 entries; delete some":            hash.Update(key(2), value, 0),
		"BPF_NOEXIST only adds new ones":                hash.Update(key(1), value, updateNoExist),
		"BPF_EXIST changes only keys that are there":    hash.Update(key(2), value, updateExist),
		"the keys of an array are always there":         array.Update(key(1), value, updateNoExist),
		"the key is beyond its 2 entries":               array.Update(key(2), value, 0),
		"the entries of an array cannot be deleted":     array.Delete(key(0)),
		"it is full: 1 values; pop some":                queue.Update(nil, value, 0),
		"(LRU)":                                         trie.Update([]byte{32, 0, 0, 0, 1, 2, 3, 4}, value, 0),
		"it is frozen: user space can only read it":     frozen.Update(key(0), value, 0),
		"made with BPF_F_RDONLY":                        readable.Update(key(0), value, 0),
		"made with BPF_F_WRONLY":                        writable.LookupInto(key(0), value, 0),
		"flags 0x40 may not be for this type":           hash.Update(key(1), value, 0x40),
		"no such key; BPF_EXIST changes only keys that": hash.Update(key(3), value, updateExist),
	} {
		wantError(t, err, nil, want)
	}
	if err := queue.LookupAndDelete(nil, value, 0); err != nil {
		t.Fatal(err)
	}
	wantError(t, queue.LookupAndDelete(nil, value, 0), ebpf.ErrKeyNotExist, "it is empty")
	if err := hash.LookupInto(key(9), value, 0); err.Error() != "lookup in map Hash: no such key" {
		t.Errorf("got %q", err)
	}
}

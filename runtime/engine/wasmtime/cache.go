//go:build wasmtime && cgo

package wasmtime

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// An entry is magic, key, SHA-256 of the content, length of the content, content.
// Code is executed as it is, so an entry that is not whole is never given to the
// engine. The sum guards against damage; against malice guards the directory.
const (
	cacheMagic  = "bowline code 1\r\n"
	keySize     = sha256.Size
	entryHeader = len(cacheMagic) + keySize + sha256.Size + 8
	maxEntry    = 2 << 30
)

// cache is a directory of compiled modules.
type cache struct {
	dir  string
	root *os.Root // nil when the directory is not to be used

	// mu guards err.
	mu  sync.Mutex
	err error
}

// cacheKey stands for a module compiled by this engine on this kind of machine.
func cacheKey(wasm []byte) [keySize]byte {
	module := sha256.Sum256(wasm)
	return sha256.Sum256(append(module[:], cacheSalt()...))
}

func openCache(dir string) *cache {
	c := &cache{dir: dir}
	if err := c.open(); err != nil {
		c.note(fmt.Errorf("code cache %s is not used: %w", dir, err))
	}
	return c
}

// open keeps the directory open, so that what was checked is what is used.
func (c *cache) open() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return err
	}
	info, err := root.Stat(".")
	if err == nil {
		err = trusted(info)
	}
	if err != nil {
		return errors.Join(err, root.Close())
	}
	c.root = root
	return nil
}

func trusted(info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner cannot be told")
	}
	if uid := os.Geteuid(); int(st.Uid) != uid {
		return fmt.Errorf("it belongs to user %d, not to %d", st.Uid, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to it (mode %#o); make it 0700", info.Mode().Perm())
	}
	return nil
}

func (c *cache) close() {
	if c.root != nil {
		c.root.Close()
	}
}

func (c *cache) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *cache) problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func entryName(key [keySize]byte) string { return "wasmtime-" + hex.EncodeToString(key[:]) }

// load answers the content of an entry, or nil; free must be called in any case.
// The content lies outside the Go heap, which need not grow for it.
func (c *cache) load(key [keySize]byte) (content []byte, free func()) {
	free = func() {}
	if c.root == nil {
		return nil, free
	}
	f, err := c.root.OpenFile(entryName(key), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, free
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || trusted(info) != nil ||
		info.Size() <= int64(entryHeader) || info.Size() > maxEntry {
		return nil, free
	}
	b, err := unix.Mmap(-1, 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, free
	}
	free = func() { _ = unix.Munmap(b) }
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, free
	}
	return checkEntry(b, key), free
}

// checkEntry answers the content of a whole entry for key, else nil.
func checkEntry(b []byte, key [keySize]byte) []byte {
	if len(b) < entryHeader {
		return nil
	}
	head, content := b[:entryHeader], b[entryHeader:]
	if !bytes.Equal(head, makeHeader(key, content)) {
		return nil
	}
	return content
}

func makeHeader(key [keySize]byte, content []byte) []byte {
	sum := sha256.Sum256(content)
	head := append([]byte(cacheMagic), key[:]...)
	head = append(head, sum[:]...)
	return binary.LittleEndian.AppendUint64(head, uint64(len(content)))
}

// store writes an entry. What goes wrong is noted and does no other harm: the
// entry appears whole or not at all.
func (c *cache) store(key [keySize]byte, content []byte) {
	if err := c.write(key, content); err != nil {
		c.note(fmt.Errorf("code cache %s: write an entry: %w", c.dir, err))
	}
}

func (c *cache) write(key [keySize]byte, content []byte) error {
	tmp := entryName(key) + ".new-" + rand.Text()
	f, err := c.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(makeHeader(key, content))
	if err == nil {
		_, err = f.Write(content)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = c.root.Rename(tmp, entryName(key))
	}
	if err != nil {
		return errors.Join(err, c.root.Remove(tmp))
	}
	return nil
}

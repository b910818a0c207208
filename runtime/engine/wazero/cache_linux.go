package wazero

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
)

// cacheFormat is part of every check sum; change it when the layout changes.
const cacheFormat = "bowline compiled module 1"

// store keeps compiled code: one directory per module, named by the SHA-256 of
// its bytes, inside one directory per engine, version and architecture. wazero
// writes its entry there under a name of its own, which also covers the CPU's
// features; beside it stands a ".sum" with the SHA-256 of the entry and of all
// that the entry belongs to. wazero's own CRC covers the code only, and not the
// offsets into it.
type store struct{ dir string }

// openStore checks that nobody else can put code into the directory, which
// would run with our rights.
func openStore(dir string) (*store, error) {
	path, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, fmt.Errorf("compile cache %s is not used: %w", dir, err)
	}
	if err := trusted(path); err != nil {
		return nil, fmt.Errorf("compile cache %s is not used: %w", dir, err)
	}
	s := &store{dir: filepath.Join(path, "wazero-"+version+"-"+goruntime.GOARCH)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("compile cache %s is not used: %w", dir, err)
	}
	if err := owned(s.dir, os.Geteuid()); err != nil {
		return nil, fmt.Errorf("compile cache %s is not used: %w", dir, err)
	}
	return s, nil
}

// trusted demands that the directory is ours alone and that no parent lets
// others exchange it.
func trusted(path string) error {
	uid := os.Geteuid()
	if err := owned(path, uid); err != nil {
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		st, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		owner := int(st.Sys().(*syscall.Stat_t).Uid)
		open := st.Mode().Perm()&0o022 != 0 && st.Mode()&os.ModeSticky == 0
		if open || (owner != 0 && owner != uid) {
			return fmt.Errorf("others may replace what is in %s (owner %d, mode %v): choose another directory", dir, owner, st.Mode())
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func owned(path string, uid int) error {
	st, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	case int(st.Sys().(*syscall.Stat_t).Uid) != uid:
		return fmt.Errorf("%s belongs to user %d, not to %d: choose another directory", path, st.Sys().(*syscall.Stat_t).Uid, uid)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to %s: chmod go-w it", path)
	}
	return nil
}

// slot is the place of one module in the store.
type slot struct {
	dir    string
	digest [sha256.Size]byte
}

func (s *store) slot(wasm []byte) *slot {
	d := sha256.Sum256(wasm)
	return &slot{dir: filepath.Join(s.dir, hex.EncodeToString(d[:])), digest: d}
}

// verify removes every entry that is not exactly what seal saw, so that the
// engine never reads it, and tells whether a good one is left. After an error
// the slot is not to be used.
func (s *slot) verify() (good bool, err error) {
	for _, path := range s.entries() {
		want, err := s.sum(path)
		if err == nil {
			var got []byte
			if got, err = os.ReadFile(path + ".sum"); err == nil && string(got) != want {
				err = errors.New("damaged")
			}
		}
		if err == nil {
			good = true
			continue
		}
		if err := errors.Join(os.RemoveAll(path), os.RemoveAll(path+".sum")); err != nil {
			return false, err
		}
	}
	return good, nil
}

// seal writes the check sums of what the engine just compiled. An entry that
// cannot be sealed is compiled again next time.
func (s *slot) seal() {
	for _, path := range s.entries() {
		if _, err := os.Lstat(path + ".sum"); err == nil {
			continue
		}
		if sum, err := s.sum(path); err == nil {
			err = writeFile(path+".sum", sum)
			if err == nil {
				continue
			}
		}
		_ = os.Remove(path)
	}
}

// remove forgets the module.
func (s *slot) remove() { _ = os.RemoveAll(s.dir) }

// entries are the files that the engine may read: DIR/<its version>/<64 hex digits>.
func (s *slot) entries() []string {
	found, _ := filepath.Glob(filepath.Join(s.dir, "*", strings.Repeat("[0-9a-f]", 2*sha256.Size)))
	return found
}

// sum is the content that the check sum file of an entry must have.
func (s *slot) sum(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	dir, name := filepath.Split(path)
	fmt.Fprintf(h, "%s\n%s %s\n%x\n%s/%s\n", cacheFormat, version, goruntime.GOARCH, s.digest, filepath.Base(dir), name)
	n, err := io.Copy(h, f)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x %d\n", h.Sum(nil), n), nil
}

// writeFile writes a file whole or not at all.
func writeFile(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".sum-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

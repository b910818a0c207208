package vmtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Newest is the series of the newest kernel that Debian has.
const Newest = "newest"

// wanted are the modules that the tests use, where the kernel has them as modules. libcrc32c, which netfilter needs, asks for crc32c
// by name only, so its generic form comes first.
var wanted = []string{"crc32c_generic", "veth", "netkit", "dummy", "sch_ingress", "cls_bpf", "act_bpf", "nf_tables", "nf_defrag_ipv4", "nf_conntrack",
	"xfrm_interface"}

// keep is how long a kernel is taken from the cache before the archive is asked for a newer one.
const keep = 14 * 24 * time.Hour

// Kernel is an unpacked kernel, ready to boot.
type Kernel struct {
	// Series is what was asked for, such as "6.1" or "newest".
	Series string
	// Release is as uname gives it.
	Release string
	// Packages are those that it came in, with their versions.
	Packages []string
	// Modules are the files to load, in this order.
	Modules []string

	dir string
}

func (k *Kernel) image() string  { return filepath.Join(k.dir, "vmlinux") }
func (k *Kernel) config() string { return filepath.Join(k.dir, "config") }

// Store is a folder with unpacked kernels and what a guest needs besides.
type Store struct {
	// Dir is the folder.
	Dir string
	// Mirror is a Debian archive. Empty means the one that this machine uses.
	Mirror string
	// Refresh asks the archive for newer kernels, however fresh the ones in the store are.
	Refresh bool
	// Log is told what takes long.
	Log func(format string, args ...any)
}

// Open gives the kernels of these series, and the folder with the guests' programs and libraries. What is missing or older than two
// weeks is downloaded; if that fails, an older one does.
func (s *Store) Open(ctx context.Context, series []string) ([]*Kernel, string, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	var a *apt
	fetch := func() (*apt, error) {
		if a == nil {
			s.Log("reading the package lists")
			opened, err := openApt(ctx, filepath.Join(s.Dir, "apt"), s.Mirror, series)
			if err != nil {
				return nil, err
			}
			a = opened
		}
		return a, nil
	}
	var kernels []*Kernel
	for _, name := range series {
		k, err := s.kernel(ctx, name, fetch)
		if err != nil {
			return nil, "", fmt.Errorf("get Linux %s: %w", name, err)
		}
		kernels = append(kernels, k)
	}
	userland, err := s.userland(ctx, fetch)
	return kernels, userland, err
}

// lock waits until no other process fills the store.
func (s *Store) lock() (unlock func() error, err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f.Close, nil
}

func (s *Store) kernel(ctx context.Context, series string, fetch func() (*apt, error)) (*Kernel, error) {
	sum := sha256.Sum256([]byte(strings.Join(wanted, " ")))
	dir := filepath.Join(s.Dir, series+"-"+hex.EncodeToString(sum[:4]))
	old, age, err := readKernel(dir)
	if err == nil && age < keep && !s.Refresh {
		return old, nil
	}
	k, fresh := s.fetchKernel(ctx, series, dir, old, fetch)
	if fresh != nil && err == nil && ctx.Err() == nil {
		s.Log("using Linux %s of the cache: %v", old.Release, fresh)
		return old, nil
	}
	return k, fresh
}

// readKernel reads what writeKernel wrote, and how long ago.
func readKernel(dir string) (*Kernel, time.Duration, error) {
	file := filepath.Join(dir, "kernel.json")
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, err
	}
	st, err := os.Stat(file)
	if err != nil {
		return nil, 0, err
	}
	k := &Kernel{dir: dir}
	if err := json.Unmarshal(b, k); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", file, err)
	}
	return k, time.Since(st.ModTime()), nil
}

func (s *Store) fetchKernel(ctx context.Context, series, dir string, old *Kernel, fetch func() (*apt, error)) (*Kernel, error) {
	a, err := fetch()
	if err != nil {
		return nil, err
	}
	packages, err := a.newest(ctx, series)
	if err != nil {
		return nil, err
	}
	s.Log("downloading %s", strings.Join(packages, ", "))
	tmp, err := os.MkdirTemp(s.Dir, "unpack-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := a.download(ctx, tmp, packages...); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return nil, err
	}
	k := &Kernel{Series: series, dir: filepath.Join(tmp, "kernel")}
	for _, deb := range debs {
		k.Packages = append(k.Packages, strings.TrimSuffix(filepath.Base(deb), "_amd64.deb"))
	}
	if err := unpack(ctx, debs, filepath.Join(tmp, "files")); err != nil {
		return nil, err
	}
	if err := k.take(ctx, filepath.Join(tmp, "files")); err != nil {
		return nil, err
	}
	if old != nil {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(k.dir, dir); err != nil {
		return nil, err
	}
	k.dir = dir
	return k, nil
}

func unpack(ctx context.Context, debs []string, dir string) error {
	for _, deb := range debs {
		if _, err := output(ctx, nil, "dpkg-deb", "--extract", deb, dir); err != nil {
			return err
		}
	}
	return nil
}

// take copies from the unpacked packages what a boot needs.
func (k *Kernel) take(ctx context.Context, files string) error {
	if err := os.MkdirAll(k.dir, 0o755); err != nil {
		return err
	}
	image, err := findOne(files, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
	if err != nil {
		return err
	}
	config, err := findOne(files, "boot/config-*", "usr/lib/modules/*/config")
	if err != nil {
		return err
	}
	tree, err := findOne(files, "lib/modules/*", "usr/lib/modules/*")
	if err != nil {
		return err
	}
	k.Release = filepath.Base(tree)
	b, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	if b, err = vmlinux(ctx, b); err != nil {
		return err
	}
	if err := os.WriteFile(k.image(), b, 0o644); err != nil {
		return err
	}
	if b, err = os.ReadFile(config); err == nil {
		err = os.WriteFile(k.config(), b, 0o644)
	}
	if err != nil {
		return err
	}
	if err := k.takeModules(ctx, tree); err != nil {
		return err
	}
	b, err = json.MarshalIndent(k, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(k.dir, "kernel.json"), b, 0o644)
}

func findOne(root string, patterns ...string) (string, error) {
	var found []string
	for _, p := range patterns {
		m, err := filepath.Glob(filepath.Join(root, p))
		if err != nil {
			return "", err
		}
		found = append(found, m...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("unpack the kernel: %d of %s in its packages, want 1", len(found), strings.Join(patterns, " or "))
	}
	return found[0], nil
}

// takeModules copies the wanted modules and what they depend on, in the order to load them. What is built in or not there is left out.
func (k *Kernel) takeModules(ctx context.Context, tree string) error {
	files := map[string]string{}
	err := filepath.WalkDir(tree, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".ko") {
			files[moduleName(p)] = p
		}
		return err
	})
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	var take func(name string) error
	take = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		file, ok := files[name]
		if !ok || taken[name] {
			return nil
		}
		taken[name] = true
		b, err := os.ReadFile(file)
		if err == nil && !bytes.HasPrefix(b, []byte(elf.ELFMAG)) {
			b, err = decompress(ctx, b)
		}
		if err != nil {
			return fmt.Errorf("unpack module %s: %w", name, err)
		}
		depends, err := moduleDepends(b)
		if err != nil {
			return fmt.Errorf("read module %s: %w", name, err)
		}
		for _, d := range depends {
			if err := take(d); err != nil {
				return err
			}
		}
		k.Modules = append(k.Modules, name+".ko")
		return os.WriteFile(filepath.Join(k.dir, name+".ko"), b, 0o644)
	}
	for _, name := range wanted {
		if err := take(name); err != nil {
			return err
		}
	}
	return nil
}

func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// moduleDepends reads a module's section .modinfo.
func moduleDepends(ko []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, errors.New("no section .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	for _, kv := range strings.Split(string(info), "\x00") {
		if v, ok := strings.CutPrefix(kv, "depends="); ok && v != "" {
			return strings.Split(v, ","), nil
		}
	}
	return nil, nil
}

package vmtest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// userland gives the folder with a shell, a few programs and the C library, which tests probe: Debian's busybox and libc6. It makes
// it once.
func (s *Store) userland(ctx context.Context, fetch func() (*apt, error)) (string, error) {
	dir := filepath.Join(s.Dir, "userland")
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	a, err := fetch()
	if err != nil {
		return "", err
	}
	s.Log("downloading busybox, libc6")
	tmp, err := os.MkdirTemp(s.Dir, "unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := a.download(ctx, tmp, "busybox", "libc6"); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return "", err
	}
	files, root := filepath.Join(tmp, "files"), filepath.Join(tmp, "root")
	if err := unpack(ctx, debs, files); err != nil {
		return "", err
	}
	if err := layOut(files, root); err != nil {
		return "", err
	}
	if err := os.Rename(root, dir); err != nil {
		return "", err
	}
	return dir, nil
}

// layOut moves programs and libraries below /usr, where newer Debians have them already, and gives the folders of old their links.
func layOut(files, root string) error {
	for _, d := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "root"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+d, filepath.Join(root, d)); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(files, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(files, p)
		if err != nil {
			return err
		}
		rel = strings.TrimPrefix(rel, "usr/")
		library := strings.HasPrefix(rel, "lib") && strings.Contains(d.Name(), ".so") && !strings.Contains(rel, "gconv") && !strings.Contains(rel, "audit")
		if !library && rel != "bin/busybox" {
			return nil
		}
		to := filepath.Join(root, "usr", rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(p, to)
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"sh", "true", "ls", "cat", "sleep"} {
		if err := os.Symlink("busybox", filepath.Join(root, "usr/bin", name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644)
}

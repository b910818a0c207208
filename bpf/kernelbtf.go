package bpf

import (
	"fmt"
	"os"
	"sync"
	"time"
	"weak"

	"github.com/cilium/ebpf/btf"
)

// sharedTypes is the kernel's type information, parsed once and shared by all objects of the process for as long as one that
// is being loaded uses it. Then the garbage collector may take it: it is worth several megabytes.
var sharedTypes struct {
	mu    sync.Mutex
	cache weak.Pointer[btf.Cache]
	kept  *btf.Cache  // for some seconds after a question
	timer *time.Timer // lets kept go
}

// keepTypes is how long the types stay after a question, because questions come in groups.
const keepTypes = 3 * time.Second

// typesForQuestions returns the shared cache and keeps it for some seconds.
func typesForQuestions() *btf.Cache {
	c := kernelTypes()
	sharedTypes.mu.Lock()
	defer sharedTypes.mu.Unlock()
	sharedTypes.kept = c
	if sharedTypes.timer != nil {
		sharedTypes.timer.Reset(keepTypes)
		return c
	}
	sharedTypes.timer = time.AfterFunc(keepTypes, func() {
		sharedTypes.mu.Lock()
		defer sharedTypes.mu.Unlock()
		sharedTypes.kept = nil
	})
	return c
}

// kernelTypes returns the shared cache. It reads nothing before something asks it for a type.
func kernelTypes() *btf.Cache {
	sharedTypes.mu.Lock()
	defer sharedTypes.mu.Unlock()
	if c := sharedTypes.cache.Value(); c != nil {
		return c
	}
	c := btf.NewCache()
	sharedTypes.cache = weak.Make(c)
	return c
}

// ReadKernelBTF reads a kernel's type information from a file, raw (like /sys/kernel/btf/vmlinux) or in an ELF file with a .BTF
// section (like a vmlinux with debugging information), for [LoadOptions].KernelBTF.
func ReadKernelBTF(path string) (*btf.Spec, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read kernel types: %w", err)
	}
	defer f.Close()
	s, err := btf.LoadSpecFromReader(f)
	if err != nil {
		return nil, fmt.Errorf("read kernel types from %s: %w: %w", path, ErrFormat, err)
	}
	return s, nil
}

package bpf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachIter makes an iterator: a program that the kernel runs for every task, map entry, socket and so on when the output of
// [Link.OpenIter] is read. Iterators over the entries of a map need that map as target. Those over tasks may be limited to a process
// or a thread, those over cgroups start at one (both Linux 6.1). Requires at least Linux 5.8 and kernel BTF.
func attachIter(p *Program, t Target) (*Link, error) {
	var info iterInfo
	name := p.attachTo
	switch p.attachTo {
	case "task", "task_file", "task_vma":
		if t.PID != 0 || t.TID != 0 {
			if err := info.tasks(t); err != nil {
				return nil, err
			}
			name += fmt.Sprintf("@%d", max(t.PID, t.TID))
		}
	case "cgroup":
		dir, err := info.cgroups(t)
		if err != nil {
			return nil, err
		}
		if dir != nil {
			defer dir.Close()
			name += ":" + t.Cgroup
		}
	default:
		if p.attachTo == "bpf_map_elem" || p.attachTo == "bpf_sk_storage_map" || p.attachTo == "sockmap" || t.Map != nil || t.MapName != "" {
			m, err := targetMap(p, t, "for this iterator")
			if err != nil {
				return nil, err
			}
			info.words[0] = m.fd
		}
	}
	raw, err := iterLink(p, &info)
	if err != nil {
		return nil, err
	}
	return newLink(raw, name), nil
}

// iterInfo is union bpf_iter_link_info: a map's descriptor; order, descriptor and number of a cgroup; or thread and process.
type iterInfo struct{ words [4]uint32 }

// tasks limits an iterator to a process or a thread.
func (i *iterInfo) tasks(t Target) error {
	if t.PID != 0 && t.TID != 0 {
		return badTarget("a process and a thread are given; want one")
	}
	if err := iterKnows("task", "iterators over the tasks of one process"); err != nil {
		return err
	}
	if n := max(t.PID, t.TID); !exists(fmt.Sprintf("/proc/%d", n)) { // the kernel does not look
		return badTarget("no process %d: %w", n, unix.ESRCH)
	}
	i.words[0], i.words[1] = uint32(t.TID), uint32(t.PID)
	return nil
}

// cgroups says where an iterator over cgroups starts. The caller closes the directory; nil means that none is given.
func (i *iterInfo) cgroups(t Target) (*os.File, error) {
	order := map[CgroupOrder]uint32{
		CgroupDescendants: unix.BPF_CGROUP_ITER_DESCENDANTS_PRE, CgroupDescendantsPost: unix.BPF_CGROUP_ITER_DESCENDANTS_POST,
		CgroupAncestors: unix.BPF_CGROUP_ITER_ANCESTORS_UP, CgroupSelf: unix.BPF_CGROUP_ITER_SELF_ONLY,
	}[t.Order]
	if order == 0 {
		return nil, badTarget("no order %q; want self, post, up or none", short(string(t.Order)))
	}
	i.words[0] = order
	if t.Cgroup == "" {
		return nil, nil // the root
	}
	dir, err := openCgroup(t)
	if err != nil {
		return nil, err
	}
	i.words[1] = uint32(dir.Fd())
	return dir, nil
}

// iterKnows reports whether the kernel can limit iterators: it takes no notice of a limit that it does not know.
func iterKnows(member, feature string) error {
	types, err := kernelTypes().Kernel()
	if err == nil {
		var u *btf.Union
		if err = types.TypeByName("bpf_iter_link_info", &u); err == nil {
			for _, m := range u.Members {
				if m.Name == member {
					return nil
				}
			}
		}
	}
	return &UnsupportedError{Feature: feature, Need: "Linux 6.1", Cause: err}
}

// iterLink is BPF_LINK_CREATE for an iterator; cilium/ebpf's own knows only maps.
func iterLink(p *Program, info *iterInfo) (link.Link, error) {
	attr := struct {
		prog, target, attachType, flags uint32
		info                            userPointer
		size, _                         uint32
	}{prog: uint32(p.fd), attachType: uint32(ebpf.AttachTraceIter)}
	if *info != (iterInfo{}) {
		attr.info, attr.size = userPointer{ptr: unsafe.Pointer(info)}, uint32(unsafe.Sizeof(*info))
	}
	fd, err := bpfCall(unix.BPF_LINK_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, err
	}
	return link.NewFromFD(fd)
}

// OpenIter runs an iterator once: its output is what the program writes. The caller closes the reader, an [IterReader]; after the Link
// is closed the reader goes on. The error matches [ErrType] for every hook but iter.
func (l *Link) OpenIter() (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("open iterator %s: %w", l.name(), errLinkClosed)
	}
	if len(l.raw) == 1 {
		if it, ok := l.raw[0].(*link.Iter); ok {
			r, err := it.Open()
			if err != nil {
				return nil, fmt.Errorf("open iterator %s: %w", l.name(), err)
			}
			return &IterReader{r: r, name: l.name()}, nil
		}
	}
	return nil, fmt.Errorf("open iterator %s: %w: it is a program for %s", l.name(), ErrType, l.hook)
}

// IterReader is one run of an iterator. A read runs the program until the buffer is full, or for a million elements; it blocks for no
// longer than that. Reads that run at once take turns. Close waits for the read that runs.
type IterReader struct {
	name string

	// mu guards the fields that follow and is held while the kernel runs the program.
	mu     sync.Mutex
	r      io.ReadCloser
	closed bool
}

// Read gives the next output, [io.EOF] at the end, and an error that matches [os.ErrClosed] after Close.
func (i *IterReader) Read(b []byte) (int, error) { return i.ReadContext(context.Background(), b) }

// ReadContext is Read that ends, with the cause of ctx, when ctx does: where the program writes nothing for many elements the kernel
// comes back in between.
func (i *IterReader) ReadContext(ctx context.Context, b []byte) (int, error) {
	for {
		n, err := i.once(ctx, b)
		if n == 0 && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)) {
			continue // a million elements without output
		}
		return n, err
	}
}

func (i *IterReader) once(ctx context.Context, b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return 0, fmt.Errorf("read iterator %s: %w", i.name, os.ErrClosed)
	}
	if err := context.Cause(ctx); err != nil {
		return 0, fmt.Errorf("read iterator %s: %w", i.name, err)
	}
	n, err := i.r.Read(b)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("read iterator %s: %w", i.name, err)
	}
	return n, err
}

// Close ends the run. It is idempotent.
func (i *IterReader) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	return i.r.Close()
}

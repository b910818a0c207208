// Command native is what bowline is measured against: a plain Go program that
// does the same with cilium/ebpf, on the same BPF objects.
//
//	native start OBJECT     load, attach, say "ready", end
//	native watch OBJECT     load, attach, say "ready", print one line per record of "events"
//	native drain OBJECT     as bench/guests/drain.c, and "entries" as bench/guests/batch.c
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: native start|watch|drain OBJECT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "native:", err)
		os.Exit(1)
	}
}

func run(what, object string) error {
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		return err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return err
	}
	defer coll.Close()
	for name, p := range spec.Programs {
		l, err := attach(p, coll.Programs[name])
		if err != nil {
			return err
		}
		defer l.Close()
	}
	fmt.Println("ready")
	switch what {
	case "watch":
		return watch(coll.Maps["events"])
	case "drain":
		return drain(coll)
	}
	return nil
}

func attach(spec *ebpf.ProgramSpec, prog *ebpf.Program) (link.Link, error) {
	if spec.Type == ebpf.Tracing {
		return link.AttachTracing(link.TracingOptions{Program: prog})
	}
	return link.AttachRawTracepoint(link.RawTracepointOptions{Name: spec.AttachTo, Program: prog})
}

func watch(m *ebpf.Map) error {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return err
	}
	var rec ringbuf.Record
	for {
		if err := r.ReadInto(&rec); err != nil {
			return err
		}
		fmt.Println(hex.EncodeToString(rec.RawSample[:min(len(rec.RawSample), 64)]))
	}
}

const operations = 1024

func drain(coll *ebpf.Collection) error {
	r, err := ringbuf.NewReader(coll.Maps["ring"])
	if err != nil {
		return err
	}
	defer r.Close()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() && in.Text() != "" {
		switch in.Text()[0] {
		case 'd':
			err = drainOnce(r)
		case 'e':
			err = entriesOnce(coll.Maps["hash"])
		default:
			err = mapOnce(coll.Maps["hash"])
		}
		if err != nil {
			return err
		}
	}
	return in.Err()
}

func drainOnce(r *ringbuf.Reader) error {
	var rec ringbuf.Record
	var sum uint64
	n := 0
	started := time.Now()
	r.SetDeadline(started)
	for {
		err := r.ReadInto(&rec)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return err
		}
		sum += binary.NativeEndian.Uint64(rec.RawSample) ^ binary.NativeEndian.Uint64(rec.RawSample[8:])
		n++
	}
	_, err := fmt.Println(n, time.Since(started).Nanoseconds())
	return err
}

// mapOnce times the bare bpf(2) calls: nothing in Go can be faster.
func mapOnce(m *ebpf.Map) error {
	var key, value uint64
	keys := uint64(m.MaxEntries()/2 - 1) // half full, as the guests fill it
	attr := struct {
		fd         uint32
		_          uint32
		key, value unsafe.Pointer
		flags      uint64
	}{fd: uint32(m.FD()), key: unsafe.Pointer(&key), value: unsafe.Pointer(&value)}
	times := [2]time.Duration{}
	for i, cmd := range []uintptr{unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_LOOKUP_ELEM} {
		started := time.Now()
		for n := range uint64(operations) {
			key = n & keys
			if _, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
				return errno
			}
		}
		times[i] = time.Since(started)
	}
	_, err := fmt.Println(operations, times[1].Nanoseconds(), times[0].Nanoseconds())
	return err
}

// batch is how many entries are read at a time, as bpf_walk does.
const batch = 256

// entriesOnce times the bare bpf(2) calls that read a whole hash.
func entriesOnce(m *ebpf.Map) error {
	var keys, values [batch]uint64
	var cursor uint32
	var n, sum uint64
	attr := struct {
		in, out, keys, values unsafe.Pointer
		count, fd             uint32
		elemFlags, flags      uint64
	}{out: unsafe.Pointer(&cursor), keys: unsafe.Pointer(&keys), values: unsafe.Pointer(&values), fd: uint32(m.FD())}
	started := time.Now()
	for more := true; more; {
		attr.count = batch
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_BATCH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		if errno != 0 && errno != unix.ENOENT { // then these are the last
			return errno
		}
		more = errno == 0
		for i := range attr.count {
			sum += keys[i] ^ values[i]
		}
		n += uint64(attr.count)
		attr.in = unsafe.Pointer(&cursor)
	}
	_, err := fmt.Println(n, time.Since(started).Nanoseconds())
	return err
}

package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// attachLirc puts a decoder on an infrared receiver. Close takes it away. Requires at least Linux 4.18.
func attachLirc(p *Program, t Target) (*Link, error) {
	if t.Path == "" {
		return nil, noTarget("infrared receiver", "/dev/lirc0")
	}
	dev, err := os.OpenFile(t.Path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, badTarget("%w; give an infrared receiver such as /dev/lirc0", err)
	}
	prog, err := p.prog.Clone()
	if err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	opts := link.RawAttachProgramOptions{Target: int(dev.Fd()), Program: prog, Attach: ebpf.AttachLircMode2}
	if err := link.RawAttachProgram(opts); err != nil {
		if errors.Is(err, unix.EINVAL) {
			err = badTarget("%s is no infrared receiver that gives raw pulses, or this kernel lacks CONFIG_BPF_LIRC_MODE2: %w", t.Path, err)
		}
		return nil, errors.Join(err, prog.Close(), dev.Close())
	}
	return &Link{target: t.Path, undo: []func() error{func() error {
		err := link.RawDetachProgram(link.RawDetachProgramOptions(opts))
		if err != nil && !errors.Is(err, unix.ENOENT) {
			err = fmt.Errorf("detach from %s: %w", t.Path, err)
		} else {
			err = nil
		}
		return errors.Join(err, prog.Close(), dev.Close())
	}}}, nil
}

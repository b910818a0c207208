package ebpf

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/bpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

var programFunctions = []function{
	{"program_load", (*instance).programLoad},
	{"program_info", (*instance).programInfo},
	{"program_log", (*instance).programLog},
	{"program_test_run", (*instance).programTestRun},
	{"program_enable_stats", (*instance).programEnableStats},
}

// program takes a handle of a program.
func (i *instance) program(c *call) *bpf.Program {
	p, err := i.s.Program(c.i32())
	if err != nil && c.ok() {
		c.err = err
	}
	return p
}

// optionalProgram takes a handle of a program or 0, which is nil.
func (i *instance) optionalProgram(c *call) *bpf.Program {
	h := c.i32()
	if h == 0 {
		return nil
	}
	p, err := i.s.Program(h)
	if err != nil && c.ok() {
		c.err = err
	}
	return p
}

// programLoad is program_load(options, out).
func (i *instance) programLoad(c *call) error {
	var o abi.ProgramOptions
	if !structure(c, &o, "program_options") {
		c.fail(abi.FAULT, "program_load needs options")
	}
	out := c.outU32()
	opts := bpf.ProgramOptions{
		Name: c.textAt(o.Name.Ptr, o.Name.Len, "name"), Section: c.textAt(o.Section.Ptr, o.Section.Len, "section"),
		License: c.textAt(o.License.Ptr, o.License.Len, "licence"), AttachTo: c.textAt(o.AttachTo.Ptr, o.AttachTo.Len, "attach_to"),
		Insns: c.span(o.Insns.Ptr, o.Insns.Len, "instructions"),
		Type:  ebpf.ProgramType(o.Type), AttachType: ebpf.AttachType(o.AttachType), VerifierLog: o.Flags&abi.LoadLog != 0,
	}
	if !c.ok() {
		return nil
	}
	if err := flags("program_options", uint64(o.Flags), abi.LoadNoLossCount|abi.LoadLog); err != nil {
		return err
	}
	if o.Target != 0 {
		target, err := i.s.Program(o.Target)
		if err != nil {
			return err
		}
		opts.Target = target
	}
	h, err := i.s.LoadProgram(opts)
	i.env.Note("load program "+opts.Name, err)
	return putHandle(out, h, err)
}

// programInfo is program_info(program, out).
func (i *instance) programInfo(c *call) error {
	p, room := i.program(c), c.room("program_info")
	if !c.ok() {
		return nil
	}
	info, err := p.Info()
	if err != nil {
		return err
	}
	out := abi.ProgramInfo{
		ID: info.ID, Type: uint32(info.Type), LoadTime: uint64(info.Loaded), RunTime: uint64(info.RunTime), RunCount: info.RunCount,
		RecursionMisses: info.RecursionMisses, Memory: info.Memlock, TranslatedSize: info.TranslatedSize, JITedSize: info.JITedSize,
		VerifiedInsns: info.VerifiedInsns, Maps: uint32(len(info.Maps)), Tag: tagBytes(info.Tag),
	}
	copy(out.Name[:len(out.Name)-1], info.Name)
	return putStruct(room, &out)
}

// tagBytes is the kernel's hash of a program, which comes as hexadecimal digits.
func tagBytes(tag string) (b [8]byte) {
	_, _ = hex.Decode(b[:], []byte(tag)[:min(len(tag), 2*len(b))])
	return b
}

// runSize is the length of structure test_run.
const runSize = 64

// programLog is program_log(program, buf, out_len).
func (i *instance) programLog(c *call) error {
	p, buf, outLen := i.program(c), c.bytes("buffer"), c.outU32()
	if !c.ok() {
		return nil
	}
	putText(buf, outLen, p.VerifierLog())
	return nil
}

// programTestRun is program_test_run(program, run).
func (i *instance) programTestRun(c *call) error {
	p := i.program(c)
	ptr, size := c.u32(), c.u32()
	var r abi.TestRun
	decodeAt(c, ptr, size, &r, "test_run")
	if c.ok() && int(size) < runSize {
		c.fail(abi.INVAL, "test_run of %d bytes has no room for the outcome, which needs %d", size, runSize)
	}
	run := bpf.TestRun{
		Data: c.span(r.DataIn.Ptr, r.DataIn.Len, "data_in"), DataOut: c.span(r.DataOut.Ptr, r.DataOut.Len, "data_out"),
		Context: c.span(r.CtxIn.Ptr, r.CtxIn.Len, "ctx_in"), ContextOut: c.span(r.CtxOut.Ptr, r.CtxOut.Len, "ctx_out"),
		Repeat: r.Repeat, LiveFrames: r.Flags&abi.RunLiveFrames != 0, Batch: r.BatchSize,
	}
	if !c.ok() {
		return nil
	}
	if err := errors.Join(flags("test_run", uint64(r.Flags), abi.RunLiveFrames|abi.RunOnCPU), zero("test_run.reserved", uint64(r.Reserved))); err != nil {
		return err
	}
	if r.Flags&abi.RunOnCPU != 0 {
		run.CPU, run.Flags = r.CPU, flagRunOnCPU
	}
	err := i.s.TestRun(c.ctx, p, &run)
	cut := errors.Is(err, unix.ENOSPC)
	switch {
	case err == nil || cut:
	case c.ctx.Err() != nil:
		return session.ErrInterrupted
	case errors.Is(err, unix.ENXIO):
		return &fault{abi.RANGE, fmt.Sprintf("run %s on CPU %d, which is not online: %v", p.Name(), r.CPU, err)}
	default:
		return err
	}
	r.DataOut.Len, r.CtxOut.Len = uint32(run.DataSize), uint32(run.ContextSize)
	r.Duration, r.ReturnValue = uint64(run.Duration), run.Return
	if err := putStruct(c.mem[ptr:uint64(ptr)+uint64(runSize)], &r); err != nil {
		return err
	}
	if cut {
		return fmt.Errorf("run %s: %w: the packet has %d bytes and the context %d afterwards", p.Name(), session.ErrRoom, run.DataSize, run.ContextSize)
	}
	return nil
}

// flagRunOnCPU is BPF_F_TEST_RUN_ON_CPU.
const flagRunOnCPU = 1

// programEnableStats is program_enable_stats(out).
func (i *instance) programEnableStats(c *call) error {
	out := c.outU32()
	if !c.ok() {
		return nil
	}
	h, err := i.s.EnableStats()
	return putHandle(out, h, err)
}

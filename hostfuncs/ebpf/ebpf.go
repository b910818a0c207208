// Package ebpf is the import module wasi_ebpf, version 1: it gives guests the kernel's BPF by handles, with an errno for each
// call and the text behind it. The contract is in package wasi-ebpf/abi and in wasi-ebpf/spec; this package decodes and answers,
// package session does the work.
package ebpf

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

// Provider offers the functions of wasi_ebpf. The zero value is ready: default budgets, no local names, nothing shared.
type Provider struct {
	// Options are what each instance may use.
	Options session.Options
}

var _ engine.Provider = Provider{}

// function binds a name of the contract to the method that does it. The method decodes its parameters from the call, in order, and
// answers an error, which becomes the errno.
type function struct {
	name string
	call func(*instance, *call) error
}

// named are the kinds of objects that a guest opens by name, with the contract's numbers.
var named = map[uint32]session.Kind{
	abi.KindObject: session.KindObject, abi.KindMap: session.KindMap, abi.KindProgram: session.KindProgram, abi.KindLink: session.KindLink,
}

// functions is the whole interface, in the order of the contract.
var functions = sync.OnceValue(func() []function {
	return slices.Concat(handleFunctions, objectFunctions, mapFunctions, programFunctions, linkFunctions, eventsFunctions, kernelFunctions)
})

// Offers lists the functions of the interface, with the types of the contract.
func (Provider) Offers() []engine.Import { return slices.Clone(offers()) }

var offers = sync.OnceValue(func() []engine.Import {
	var list []engine.Import
	for _, f := range functions() {
		list = append(list, engine.Import{Module: abi.Module, Name: f.name, Type: contract()[f.name].typ})
	}
	return list
})

// terms are what the contract says of one function.
type terms struct {
	typ    engine.FuncType
	errnos errnoSet
}

// contract is made once: the tables of the contract are large.
var contract = sync.OnceValue(func() map[string]terms {
	m := map[string]terms{}
	for _, f := range abi.Functions() {
		t := terms{typ: funcType(f)}
		t.errnos.add(abi.SUCCESS)
		for _, c := range append(abi.Common(), f.Errnos...) {
			t.errnos.add(c.Errno)
		}
		m[f.Name] = t
	}
	return m
})

// funcType is the type that the contract gives a function.
func funcType(f abi.Func) engine.FuncType {
	typ := engine.FuncType{Results: []engine.ValueType{engine.I32}}
	for _, v := range f.Wasm() {
		if v == abi.WasmI64 {
			typ.Params = append(typ.Params, engine.I64)
		} else {
			typ.Params = append(typ.Params, engine.I32)
		}
	}
	return typ
}

// Bind makes the state of one instance. It opens nothing yet.
func (p Provider) Bind(env engine.Env) (engine.Bound, error) {
	o := p.Options
	o.Closing = env.Closing
	return &instance{env: env, s: session.New(o)}, nil
}

// instance is one guest's side of the interface.
type instance struct {
	env  engine.Env
	s    *session.Session
	last error // what the last failed call ended with

	symbols   kernel.KernelSymbols
	processes kernel.ProcessSymbols

	c call // no function calls back into the guest, so one is enough
}

var _ engine.Bound = (*instance)(nil)

// Func binds one import to this instance.
func (i *instance) Func(imp engine.Import) engine.HostFunc {
	for _, f := range functions() {
		if f.name != imp.Name {
			continue
		}
		errnos := contract()[f.name].errnos
		return engine.HostFunc{
			Module: imp.Module, Name: imp.Name, Type: imp.Type,
			Call: func(ctx context.Context, in engine.Instance, stack []uint64) error {
				no := i.do(ctx, in, stack, f.call)
				limited := (no == abi.NOMEM || no == abi.MFILE) && errors.Is(i.last, session.ErrLimit)
				if no == abi.PERM || limited || no == abi.NOTSUP && f.name != "kernel_probe" {
					i.env.Note(f.name, i.last) // what the plugin ends with may be for that
				}
				if !errnos.has(no) {
					no = abi.IO // as the contract says of errors that have no number there; last_error has the text
				}
				stack[0] = uint64(no)
				return nil
			},
		}
	}
	return engine.HostFunc{}
}

// do runs one function and keeps the text of a failure for last_error.
func (i *instance) do(ctx context.Context, in engine.Instance, stack []uint64, f func(*instance, *call) error) abi.Errno {
	i.c = call{ctx: ctx, mem: in.Memory(), stack: stack}
	err := f(i, &i.c)
	if i.c.err != nil { // then nothing was done
		err = i.c.err
	}
	quiet := i.c.quiet
	i.c = call{}
	if err != nil && !quiet {
		i.last = err
	}
	return Errno(err)
}

// Close closes all that the guest left open, newest first.
func (i *instance) Close() error { return i.s.End() }

package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/runtime/engine"
)

// errRefused is what host functions of the scenarios fail with.
var errRefused = errors.New("refused by the host")

// play is one scenario under way: it does things to a guest and writes down
// what comes of them.
type play struct {
	t      *testing.T
	engine engine.Engine
	log    strings.Builder
	depth  int
	funcs  []engine.HostFunc
	in     engine.Instance
	mod    engine.Module
}

func (p *play) logf(format string, args ...any) {
	fmt.Fprintf(&p.log, "%s%s\n", strings.Repeat("  ", p.depth), fmt.Sprintf(format, args...))
}

// close closes instance and module, if there are any.
func (p *play) close() {
	p.t.Helper()
	if p.in != nil {
		if err := p.in.Close(); err != nil {
			p.t.Errorf("close the instance: %v", err)
		}
	}
	if p.mod != nil {
		if err := p.mod.Close(); err != nil {
			p.t.Errorf("close the module: %v", err)
		}
	}
	p.in, p.mod = nil, nil
}

// compile gets a guest ready, which all guests of the suite must be.
func (p *play) compile(guest string) engine.Module {
	p.t.Helper()
	wasm, err := files.ReadFile("guests/" + guest + ".wasm")
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := p.engine.Compile(p.t.Context(), wasm)
	if err != nil {
		p.t.Fatalf("compile %s: %v", guest, err)
	}
	return m
}

// load makes the scenario's instance in place of the one before and tells
// whether there is one.
func (p *play) load(guest string, cfg engine.InstanceConfig) bool {
	p.t.Helper()
	p.close()
	p.mod = p.compile(guest)
	cfg.Funcs = append(cfg.Funcs, p.funcs...)
	p.logf("instantiate %s", guest)
	in, err := p.mod.Instantiate(p.t.Context(), cfg)
	if err != nil {
		p.logf("-> %s", p.outcome(err))
		return false
	}
	p.in = in
	return true
}

// host offers a function of module env, whose calls are logged.
func (p *play) host(name string, typ engine.FuncType, call func(ctx context.Context, in engine.Instance, stack []uint64) error) {
	p.hostIn("env", name, typ, call)
}

func (p *play) hostIn(module, name string, typ engine.FuncType, call func(context.Context, engine.Instance, []uint64) error) {
	p.funcs = append(p.funcs, engine.HostFunc{Module: module, Name: name, Type: typ,
		Call: func(ctx context.Context, in engine.Instance, stack []uint64) error {
			p.logf("host %s%s", name, values(typ.Params, stack))
			p.upper(typ.Params, stack)
			if len(stack) < typ.StackLen() {
				p.t.Errorf("host %s gets a stack of %d slots for %s", name, len(stack), typ)
			}
			p.depth++
			err := call(ctx, in, stack)
			p.depth--
			if err != nil {
				p.logf("-> %s", p.outcome(err))
				return err
			}
			if len(typ.Results) > 0 {
				p.logf("-> %s", values(typ.Results, stack))
			}
			return nil
		}})
}

// upper checks that 32-bit values come with an upper half of zeros.
func (p *play) upper(types []engine.ValueType, stack []uint64) {
	for i, t := range types {
		if (t == engine.I32 || t == engine.F32) && stack[i]>>32 != 0 {
			p.t.Errorf("slot %d holds %#x for an %s", i, stack[i], t)
		}
	}
}

// call calls an export with Go values and gives the results' slots, nil after
// an error.
func (p *play) call(name string, args ...any) []uint64 {
	stack, _ := p.try(p.t.Context(), name, args...)
	return stack
}

func (p *play) try(ctx context.Context, name string, args ...any) ([]uint64, error) {
	typ := engine.FuncType{Params: typesOf(args)}
	if has, ok := p.in.HasExport(name); ok {
		typ.Results = has.Results
	}
	stack := make([]uint64, max(typ.StackLen(), len(args)))
	for i, a := range args {
		stack[i] = slot(a)
	}
	p.logf("call %s%s", name, values(typ.Params, stack))
	p.depth++
	err := p.in.Call(ctx, name, typ, stack)
	p.depth--
	return p.result(typ, stack, err), err
}

// element calls a function-table element.
func (p *play) element(ctx context.Context, in engine.Instance, index uint32, typ engine.FuncType, stack []uint64) error {
	f, err := in.TableFunc(index, typ)
	if err != nil {
		p.logf("element %d %s -> %s", index, typ, p.outcome(err))
		return err
	}
	p.logf("element %d%s", index, values(typ.Params, stack))
	p.depth++
	err = f.Call(ctx, stack)
	p.depth--
	p.result(typ, stack, err)
	return err
}

func (p *play) result(typ engine.FuncType, stack []uint64, err error) []uint64 {
	if err != nil {
		p.logf("-> %s", p.outcome(err))
		return nil
	}
	p.upper(typ.Results, stack)
	p.logf("-> %s", values(typ.Results, stack))
	return stack[:len(typ.Results)]
}

// outcome names an error so that all engines agree. Where an engine cannot tell
// a missing table element from one out of range, nobody has to.
func (p *play) outcome(err error) string {
	if text := err.Error(); strings.ContainsAny(text, "\n\t") || text == "" {
		p.t.Errorf("an error's text must be one line: %q", text)
	}
	if exit, ok := errors.AsType[*engine.ExitError](err); ok {
		return fmt.Sprintf("exit %d", exit.Code)
	}
	if trap, ok := errors.AsType[*engine.Trap](err); ok {
		if trap.Reason == engine.TrapTable || trap.Reason == engine.TrapIndirectNull {
			return "trap: no such table element"
		}
		return "trap: " + trap.Reason
	}
	for _, known := range []error{errRefused, engine.ErrInvalid, engine.ErrNoExport, engine.ErrNoTable, engine.ErrIndex, engine.ErrType} {
		if errors.Is(err, known) {
			return "error: " + known.Error()
		}
	}
	return "error"
}

func typesOf(args []any) []engine.ValueType {
	var types []engine.ValueType
	for _, a := range args {
		switch a.(type) {
		case int32:
			types = append(types, engine.I32)
		case int64:
			types = append(types, engine.I64)
		case float32:
			types = append(types, engine.F32)
		case float64:
			types = append(types, engine.F64)
		default:
			panic(fmt.Sprintf("conformance: %T is no Wasm value", a))
		}
	}
	return types
}

func slot(v any) uint64 {
	switch v := v.(type) {
	case int32:
		return uint64(uint32(v))
	case int64:
		return uint64(v)
	case float32:
		return uint64(math.Float32bits(v))
	case float64:
		return math.Float64bits(v)
	}
	return 0
}

// values writes slots as "(i32 -1, f64 0.5)".
func values(types []engine.ValueType, stack []uint64) string {
	texts := make([]string, len(types))
	for i, t := range types {
		v := "?"
		switch t {
		case engine.I32:
			v = strconv.Itoa(int(int32(stack[i])))
		case engine.I64:
			v = strconv.FormatInt(int64(stack[i]), 10)
		case engine.F32:
			v = strconv.FormatFloat(float64(math.Float32frombits(uint32(stack[i]))), 'g', -1, 32)
		case engine.F64:
			v = strconv.FormatFloat(math.Float64frombits(stack[i]), 'g', -1, 64)
		}
		texts[i] = t.String() + " " + v
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

// fn writes a function type as "iI:fF" for parameters and results: i and I are
// i32 and i64, f and F are f32 and f64.
func fn(s string) engine.FuncType {
	conv := func(s string) (types []engine.ValueType) {
		for _, c := range s {
			types = append(types, map[rune]engine.ValueType{'i': engine.I32, 'I': engine.I64, 'f': engine.F32, 'F': engine.F64}[c])
		}
		return types
	}
	params, results, _ := strings.Cut(s, ":")
	return engine.FuncType{Params: conv(params), Results: conv(results)}
}

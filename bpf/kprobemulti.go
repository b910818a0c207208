package bpf

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// maxMatches bounds what one pattern may attach to.
const maxMatches = 20_000

// attachKprobeMulti runs a program at many kernel functions at once, section kprobe.multi/PATTERN with * and ?. Requires at least
// Linux 5.18 (sessions 6.10) and a kernel with kprobes and fprobe.
func attachKprobeMulti(p *Program, t Target) (*Link, error) {
	if !t.hasSymbol() && p.attachTo != "" {
		section, err := ParseTarget(p.hook, p.attachTo)
		if err != nil {
			return nil, err
		}
		t = t.or(section)
	}
	if t.Symbol == "" && len(t.Symbols) == 0 {
		return nil, noTarget("function or pattern", "tcp_*")
	}
	if err := t.checkSymbols(true); err != nil {
		return nil, err
	}
	if err := kernel.Kprobes(); err != nil {
		return nil, err
	}
	symbols := t.Symbols
	switch {
	case isPattern(t.Symbol):
		var err error
		if symbols, err = kernelFunctions(t.Symbol); err != nil {
			return nil, err
		}
	case t.Symbol != "":
		symbols = []string{t.Symbol}
	}
	opts := link.KprobeMultiOptions{Symbols: symbols, Session: p.hook == HookKprobeSession, Cookies: t.cookies(len(symbols))}
	open := link.KprobeMulti
	if p.hook == HookKretMulti {
		open = link.KretprobeMulti
	}
	l, err := open(p.prog, opts)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, noSuch("this kernel has no function %s that can be probed (see /proc/kallsyms)", t.describe(p))
	}
	if err != nil {
		return nil, err
	}
	made := newLink(l, t.describe(p))
	made.note = fmt.Sprintf("%d functions", len(symbols))
	return made, nil
}

func isPattern(s string) bool { return strings.ContainsAny(s, "*?") }

// kernelFunctions lists the functions that can be probed and fit a pattern.
func kernelFunctions(pattern string) ([]string, error) {
	fs, err := kernel.Tracefs()
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	b, err := fs.ReadFile("available_filter_functions")
	if err != nil {
		return nil, fileRefused("list the functions that can be probed", err)
	}
	return matchFunctions(b, pattern)
}

func matchFunctions(list []byte, pattern string) ([]string, error) {
	var found []string
	s := bufio.NewScanner(bytes.NewReader(list))
	for s.Scan() {
		name, _, _ := strings.Cut(s.Text(), " ") // "name [module]"
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, badTarget("pattern %q: %w", short(pattern), err)
		}
		if ok && !strings.HasPrefix(name, "__ftrace_invalid_address__") {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if len(found) == 0 {
		return nil, noSuch("no function fits %q", short(pattern))
	}
	if len(found) > maxMatches {
		return nil, badTarget("%d functions fit %q, more than %d; give a narrower pattern", len(found), short(pattern), maxMatches)
	}
	return found, nil
}

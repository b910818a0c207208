package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// task is something that all contenders can do.
type task struct {
	plugin string // for the runtimes
	mode   string // for the native program
	object string
}

var (
	plain    = task{"bench/guests/plain.wasm", "start", "bench/guests/plain.bpf.o"}
	core     = task{"examples/execsnoop/execsnoop.wasm", "watch", "examples/execsnoop/execsnoop.bpf.o"}
	drain    = task{"bench/guests/drain.wasm", "drain", "bench/guests/drain.bpf.o"}
	batch    = task{"bench/guests/batch.wasm", "drain", "bench/guests/batch.bpf.o"}
	callback = task{"bench/guests/callback.wasm", "drain", "bench/guests/batch.bpf.o"}
)

// process is a contender at work.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	err     bytes.Buffer
	started time.Time
	ready   time.Duration // from exec to the first line, which comes when all is attached
}

// start starts a contender and waits until it has attached.
func start(c contender, t task) (*process, error) {
	p := &process{cmd: exec.Command(c.path, c.args(t)...)}
	p.cmd.Stderr = &p.err
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if _, err := p.out.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not get ready: %w: %s", c.who, err, p.err.String()), p.stop())
	}
	p.ready = time.Since(p.started)
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	p.in.Close()
	if err := p.cmd.Process.Signal(unix.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait() // it ends with the signal, which is what we asked for
	return nil
}

// ask sends a line and answers the numbers of the line that comes back.
func (p *process) ask(line string) ([]float64, error) {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return nil, err
	}
	answer, err := p.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("ask %q: %w: %s", line, err, p.err.String())
	}
	var numbers []float64
	for _, f := range strings.Fields(answer) {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return nil, fmt.Errorf("ask %q: answer %q", line, answer)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// measure takes all figures, or those of one group.
func measure(c contenders, only string, runs int) ([]figure, error) {
	var figures []figure
	var known []string
	for _, g := range []struct {
		name    string
		measure func(contenders, int) ([]figure, error)
	}{
		{"start", startTimes}, {"memory", memory}, {"callbacks", hotPaths}, {"batches", batches},
		{"checks", checks}, {"policy", policyChecks},
	} {
		known = append(known, g.name)
		if only != "" && only != g.name {
			continue
		}
		f, err := g.measure(c, runs)
		if err != nil {
			return nil, err
		}
		figures = append(figures, f...)
	}
	if only != "" && !slices.Contains(known, only) {
		return nil, fmt.Errorf("no group %q; there are %s", only, strings.Join(known, ", "))
	}
	return figures, nil
}

// startTimes measures exec to attached. The first run of each fills its cache and does not count.
func startTimes(c contenders, runs int) ([]figure, error) {
	var figures []figure
	for _, s := range []struct {
		name, goal string
		task       task
		sides      []contender
	}{
		{"exec to attached, without CO-RE", "at most 25 ms", plain, c.general()},
		{"exec to attached, with CO-RE (execsnoop)", "at most 50 ms", core, []contender{c.bowline, c.native}},
	} {
		sides := s.sides
		samples := make([][]float64, len(sides))
		for run := range runs + 1 {
			for i, c := range sides {
				p, err := start(c, s.task)
				if err != nil {
					return nil, err
				}
				if err := p.stop(); err != nil {
					return nil, err
				}
				if run > 0 {
					samples[i] = append(samples[i], p.ready.Seconds()*1000)
				}
			}
		}
		figures = append(figures, summarise(s.name, "ms", s.goal, sides, samples))
	}
	return figures, nil
}

// events is how many processes are started while the memory is measured.
const events = 100

// settled is how long after its start a process is measured: what start-up needed is given back by then.
const settled = time.Second

// memory measures the resident memory of execsnoop at work: a second after its start, and after some events.
func memory(c contenders, runs int) ([]figure, error) {
	sides := []contender{c.bowline, c.native} // the plugin uses wasi_ebpf
	samples := make([][]float64, len(sides))
	for range max(runs/2, 1) {
		for i, c := range sides {
			p, err := start(c, core)
			if err != nil {
				return nil, err
			}
			time.Sleep(settled - time.Since(p.started))
			for range events {
				if err := exec.Command("true").Run(); err != nil {
					return nil, errors.Join(err, p.stop())
				}
			}
			for range events {
				if _, err := p.out.ReadString('\n'); err != nil {
					return nil, errors.Join(err, p.stop())
				}
			}
			kib, err := resident(p.cmd.Process.Pid)
			if err := errors.Join(err, p.stop()); err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], kib/1024)
		}
	}
	return []figure{summarise("resident memory of execsnoop", "MiB", "under 18 MiB", sides, samples)}, nil
}

// resident reads VmRSS in KiB.
func resident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			return strconv.ParseFloat(f[1], 64)
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", pid)
}

// askKernel is the system call, which does not exist, that makes the program in
// bench/guests/drain.bpf.c or batch.bpf.c write 1000 records. The ring takes 104 of
// the smaller ones.
const (
	askKernel = 6451063
	fills     = 104
)

// hotPaths measures the drain of a full ring and map operations, timed by the
// contenders themselves.
func hotPaths(c contenders, runs int) ([]figure, error) {
	sides := c.general()
	drained, lookups, updates := make([][]float64, len(sides)), make([][]float64, len(sides)), make([][]float64, len(sides))
	for range runs {
		for i, c := range sides {
			p, err := start(c, drain)
			if err != nil {
				return nil, err
			}
			perRecord, lookup, update, err := hotPath(p)
			if err := errors.Join(err, p.stop()); err != nil {
				return nil, err
			}
			drained[i] = append(drained[i], perRecord)
			lookups[i] = append(lookups[i], lookup)
			updates[i] = append(updates[i], update)
		}
	}
	return []figure{
		summarise("ring-buffer callbacks, per 32-byte record", "ns", "under 110 ns", sides, drained),
		summarise("map lookup, wasm_bpf", "ns", "at most 1.3 times native", sides, lookups),
		summarise("map update, wasm_bpf", "ns", "at most 1.3 times native", sides, updates),
	}, nil
}

func hotPath(p *process) (perRecord, lookup, update float64, err error) {
	perRecord, lookup, update = math.Inf(1), math.Inf(1), math.Inf(1)
	for round := range rounds + 1 { // the first warms up
		for range fills {
			_, _, _ = unix.Syscall(askKernel, 0, 0, 0)
		}
		n, err := p.ask("drain")
		if err != nil {
			return 0, 0, 0, err
		}
		if n[0] != fills*1000 {
			return 0, 0, 0, fmt.Errorf("drained %v records, want %d", n[0], fills*1000)
		}
		m, err := p.ask("map")
		if err != nil {
			return 0, 0, 0, err
		}
		if round > 0 {
			perRecord, lookup, update = min(perRecord, n[1]/n[0]), min(lookup, m[1]/m[0]), min(update, m[2]/m[0])
		}
	}
	return perRecord, lookup, update, nil
}

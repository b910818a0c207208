// Command testkernels runs the kernel tests of this module inside virtual machines with Debian's kernels, and on the kernel of this
// machine too if "local" is among them. It is also the init process of those machines.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bowline-edge/bowline/internal/vmtest"
)

type options struct {
	kernels, packages, run, mirror, cache, results, table, from string
	parallel                                                    int
	limit, boot                                                 time.Duration
	refresh, verbose, again                                     bool
}

func main() {
	if os.Getpid() == 1 {
		vmtest.Init()
	}
	var o options
	flag.StringVar(&o.kernels, "kernels", "5.10 6.1 6.12 newest", `series of Debian's kernels, "newest", "local" for this machine's`)
	flag.StringVar(&o.packages, "packages", "./bpf ./internal/confine ./internal/kernel ./internal/kerneltest ./hostfuncs/...", "packages to test")
	flag.StringVar(&o.run, "run", "", "run only the tests that match")
	flag.StringVar(&o.mirror, "mirror", os.Getenv("KERNEL_MIRROR"), "Debian archive (default: the one that this machine uses)")
	flag.StringVar(&o.cache, "cache", "", "folder for kernels (default: bowline-kernels in the user's cache)")
	flag.StringVar(&o.results, "json", "", "write the results to this file")
	flag.StringVar(&o.table, "table", "", "write the table of program and map types to this file")
	flag.StringVar(&o.from, "from", "", "run nothing, but take the results of these files; a later result of a test counts")
	flag.IntVar(&o.parallel, "parallel", 2, "machines at a time")
	flag.DurationVar(&o.limit, "limit", 9*time.Minute, "time limit of one machine")
	flag.DurationVar(&o.boot, "boot", time.Minute, "time limit of a boot; a busy host needs more")
	flag.BoolVar(&o.refresh, "refresh", false, "ask the archive for newer kernels")
	flag.BoolVar(&o.again, "again", true, "run what failed once more; the second result counts")
	flag.BoolVar(&o.verbose, "v", false, "show all output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := testKernels(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "testkernels:", err)
		os.Exit(1)
	}
}

var errFailed = errors.New("tests failed")

func testKernels(ctx context.Context, o *options) error {
	if o.from != "" {
		reports, err := readReports(strings.Fields(o.from))
		if err != nil {
			return err
		}
		return publish(o, reports)
	}
	began := time.Now()
	if o.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("find a folder for kernels: %w; give one with -cache", err)
		}
		o.cache = filepath.Join(dir, "bowline-kernels")
	}
	tmp, err := os.MkdirTemp("", "bowline-testkernels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	b, err := build(ctx, tmp, strings.Fields(o.packages))
	if err != nil {
		return err
	}
	reports, err := runAll(ctx, o, b)
	if err == nil && o.again {
		err = runAgain(ctx, o, b, reports)
	}
	if err != nil {
		return err
	}
	fmt.Printf("\nall in %s\n", time.Since(began).Round(time.Second))
	return publish(o, reports)
}

// publish shows the results and writes what was asked for.
func publish(o *options, reports []*report) error {
	printSummary(os.Stdout, reports)
	if o.results != "" {
		text, err := json.MarshalIndent(reports, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.results, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.table != "" {
		if err := os.WriteFile(o.table, []byte(table(reports)), 0o644); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(reports, (*report).failed) {
		return errFailed
	}
	return nil
}

func readReports(files []string) (reports []*report, err error) {
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var more []*report
		if err := json.Unmarshal(b, &more); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for _, r := range more {
			i := slices.IndexFunc(reports, func(old *report) bool { return old.Kernel == r.Kernel })
			if i >= 0 && reports[i].Release == r.Release {
				reports[i].merge(r)
			} else if i >= 0 {
				reports[i] = r
			} else {
				reports = append(reports, r)
			}
		}
	}
	return reports, nil
}

// runAll runs the tests on each kernel, a few at a time; the kernel of this machine first and alone.
func runAll(ctx context.Context, o *options, b *built) ([]*report, error) {
	var reports []*report
	var series []string
	for _, name := range strings.Fields(o.kernels) {
		if name != local {
			series = append(series, name)
		}
		reports = append(reports, &report{Kernel: name})
	}
	s := &vmtest.Store{Dir: o.cache, Mirror: o.mirror, Refresh: o.refresh, Log: func(format string, args ...any) {
		fmt.Printf(format+"\n", args...)
	}}
	if err := os.MkdirAll(filepath.Join(o.cache, "logs"), 0o755); err != nil {
		return nil, err
	}
	var kernels []*vmtest.Kernel
	if len(series) > 0 {
		var err error
		if kernels, b.userland, err = s.Open(ctx, series); err != nil {
			return nil, err
		}
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, o.parallel))
	next := 0
	for _, r := range reports {
		m := &machine{o: o, built: b, report: r}
		if r.Kernel == local {
			m.runLocal(ctx)
			continue
		}
		m.kernel = kernels[next]
		next++
		r.Release, r.Packages = m.kernel.Release, m.kernel.Packages
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			m.runGuest(ctx)
		}()
	}
	wg.Wait()
	return reports, ctx.Err()
}

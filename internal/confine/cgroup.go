package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// Bounds are what the processes of a control group may use together. Zero is no bound.
type Bounds struct {
	// Memory is in bytes, with what the kernel holds for them. CPU is in percent of one CPU. Threads are processes and threads.
	Memory, CPU, Threads int64
}

// EnterCgroup puts this process into a control group of its own, which bounds it, and answers its path. It takes a control group in which
// groups may be made and that passes the controllers on: the root of the hierarchy, or one that systemd has delegated. The group is removed
// by [Supervise] when the process has ended. Requires cgroup v2 with the controller for memory.
func EnterCgroup(b Bounds) (string, error) {
	var errs []error
	places, err := cgroupPlaces()
	if err != nil {
		return "", err
	}
	for _, place := range places {
		dir, err := enterBelow(place, b)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return "", errors.New("no control group is delegated to this process")
	}
	return "", errors.Join(errs...)
}

func enterBelow(place string, b Bounds) (string, error) {
	if err := passOn(place); err != nil {
		return "", err
	}
	dir := filepath.Join(place, groupName(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a control group: %w", err)
	}
	settings := []struct {
		file  string
		value string
		set   bool
	}{
		{"memory.max", strconv.FormatInt(b.Memory, 10), b.Memory > 0},
		{"memory.oom.group", "1", b.Memory > 0},
		{"pids.max", strconv.FormatInt(b.Threads, 10), b.Threads > 0},
		{"cpu.max", strconv.FormatInt(b.CPU*1000, 10) + " 100000", b.CPU > 0},
		{"cgroup.procs", "0", true},
	}
	for _, s := range settings {
		if !s.set {
			continue
		}
		err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.value), 0)
		if errors.Is(err, os.ErrNotExist) && s.file != "memory.max" {
			continue // a controller that is not there, or a kernel before it
		}
		if err != nil {
			return "", errors.Join(fmt.Errorf("set %s of a control group: %w", s.file, err), os.Remove(dir))
		}
	}
	return dir, nil
}

// passOn makes a control group pass the controllers on to those below it.
func passOn(place string) error {
	if !hasMemory(place) {
		return fmt.Errorf("%s has no controller for memory", place)
	}
	control := filepath.Join(place, "cgroup.subtree_control")
	has, err := os.ReadFile(control)
	if err != nil {
		return fmt.Errorf("read the controllers of a control group: %w", err)
	}
	for _, c := range []string{"memory", "pids", "cpu"} {
		if hasWord(string(has), c) {
			continue
		}
		if err := os.WriteFile(control, []byte("+"+c), 0); err != nil && c == "memory" {
			return fmt.Errorf("pass the memory controller of %s on: %w", place, err)
		}
	}
	return nil
}

// hasMemory reports whether a control group has the controller that a child's needs.
func hasMemory(place string) bool {
	has, err := os.ReadFile(filepath.Join(place, "cgroup.controllers"))
	return err == nil && hasWord(string(has), "memory")
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

func groupName(pid int) string { return "bowline-" + strconv.Itoa(pid) }

// cgroupPlaces are the control groups in which one may be made: the root, if this process is in it, or its own or the one above, if it is
// delegated. Nobody else's: systemd owns the rest of the tree.
func cgroupPlaces() ([]string, error) {
	root, err := kernel.Keep(kernel.Cgroup2)
	if err != nil {
		return nil, err
	}
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	if own == "/" {
		return []string{root}, nil
	}
	var places []string
	for _, p := range []string{own, filepath.Dir(own)} {
		if dir := filepath.Join(root, p); delegated(dir) {
			places = append(places, dir)
		}
	}
	return places, nil
}

// delegated reports whether systemd has given a control group away.
func delegated(dir string) bool {
	for _, attr := range []string{"user.delegate", "trusted.delegate"} {
		var v [4]byte
		if n, err := unix.Getxattr(dir, attr, v[:]); err == nil && string(v[:n]) == "1" {
			return true
		}
	}
	return false
}

// ownCgroup is the path of this process's control group below the root of cgroup v2.
func ownCgroup() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(l), "0::"); ok {
			return p, nil
		}
	}
	return "", errors.New("this process is in no control group of cgroup v2")
}

// removeCgroup removes the control group of a process that has ended, and reports whether it ran out of memory.
func removeCgroup(places []string, pid int) (outOfMemory bool) {
	for _, place := range places {
		dir := filepath.Join(place, groupName(pid))
		b, err := os.ReadFile(filepath.Join(dir, "memory.events"))
		if err == nil {
			for l := range strings.Lines(string(b)) {
				n, ok := strings.CutPrefix(strings.TrimSpace(l), "oom_kill ")
				outOfMemory = outOfMemory || ok && n != "0"
			}
		}
		_ = unix.Rmdir(dir) // it was not there, as a rule
	}
	return outOfMemory
}

// removalTakes are the capabilities for removeCgroup: the root of the hierarchy is often closed to its owner, too.
func removalTakes(places []string) kernel.CapSet {
	for _, p := range places {
		if !hasMemory(p) {
			continue // there is no group below it
		}
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil && (int(st.Uid) != os.Geteuid() || st.Mode&0o200 == 0) {
			return kernel.Caps(kernel.CapDACOverride)
		}
	}
	return 0
}

// LimitData limits the writable memory of this process, for where there is no control group. Go programs end when they meet it.
func LimitData(bytes uint64) error {
	if err := lower(unix.RLIMIT_DATA, bytes); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return nil
}

// NoCore keeps this process from writing its memory to a file when it crashes.
func NoCore() error {
	if err := lower(unix.RLIMIT_CORE, 0); err != nil {
		return fmt.Errorf("limit core files: %w", err)
	}
	return nil
}

func lower(what int, to uint64) error {
	var r unix.Rlimit
	if err := unix.Getrlimit(what, &r); err != nil {
		return err
	}
	r.Cur, r.Max = min(r.Cur, to), min(r.Max, to)
	return unix.Setrlimit(what, &r)
}

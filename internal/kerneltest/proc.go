package kerneltest

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// selfCgroup is this process's place in cgroup v2, without the leading slash.
func selfCgroup(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok {
			return path
		}
	}
	return ""
}

// openFDs lists the file descriptors of this process with what they are.
func openFDs() map[int]string {
	fds := map[int]string{}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fds
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// The descriptor that listed the directory is gone by now.
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[n] = what
		}
	}
	return fds
}

// threadNamespaces lists the network namespaces of the threads of this process.
func threadNamespaces() map[string]bool {
	found := map[string]bool{}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return found
	}
	for _, task := range tasks {
		if ns, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net"); err == nil {
			found[ns] = true
		}
	}
	return found
}

// held lists the numbers of BPF objects that any process has open, by the field of fdinfo: "prog_id", "map_id", "link_id".
func held() map[string]map[uint32]bool {
	found := map[string]map[uint32]bool{"prog_id": {}, "map_id": {}, "link_id": {}}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		dir := "/proc/" + p.Name()
		fds, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue
		}
		for _, fd := range fds {
			what, err := os.Readlink(dir + "/fd/" + fd.Name())
			if err != nil || !strings.HasPrefix(what, "anon_inode:bpf") {
				continue
			}
			readFDInfo(dir+"/fdinfo/"+fd.Name(), found)
		}
	}
	return found
}

func readFDInfo(file string, found map[string]map[uint32]bool) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), ":")
		if ids, ok := found[key]; ok {
			if id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32); err == nil {
				ids[uint32(id)] = true
			}
		}
	}
}

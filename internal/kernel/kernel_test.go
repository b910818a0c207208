package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseVersionReadsDistributionReleases(t *testing.T) {
	for release, want := range map[string]Version{
		"6.18.44-fc-v657":   {6, 18, 44},
		"5.10.0-28-amd64":   {5, 10, 0},
		"7.3-rc1":           {7, 3, 0},
		"5.15.0":            {5, 15, 0},
		"4.19.1.2.3-custom": {4, 19, 1},
	} {
		got, err := ParseVersion(release)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", release, got, err, want)
		}
	}
	for _, bad := range []string{"", "linux", "6", "-1.2", "999999999999999999999.1"} {
		if v, err := ParseVersion(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, v)
		}
	}
}

func TestAtLeastComparesMajorFirst(t *testing.T) {
	v := Version{6, 1, 0}
	for _, c := range []struct {
		major, minor int
		want         bool
	}{{5, 20, true}, {6, 1, true}, {6, 0, true}, {6, 2, false}, {7, 0, false}} {
		if got := v.AtLeast(c.major, c.minor); got != c.want {
			t.Errorf("%v at least %d.%d: got %v", v, c.major, c.minor, got)
		}
	}
}

func TestMountinfoIsRead(t *testing.T) {
	in := `22 27 0:21 / /proc rw,relatime - proc proc rw
41 31 0:38 /sub /sys/fs/with\040space ro,nosuid shared:4 master:1 - cgroup2 cgroup2 rw
nonsense
1 2 3 - x
`
	got, err := parseMountinfo(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	want := []Mount{
		{Root: "/", Point: "/proc", Type: "proc", Options: "rw,relatime"},
		{Root: "/sub", Point: "/sys/fs/with space", Type: "cgroup2", Options: "ro,nosuid"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCPUListIsRead(t *testing.T) {
	got, err := parseCPUList("0-3,8")
	if err != nil || !slices.Equal(got, []int{0, 1, 2, 3, 8}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "-", "3-1", "0-99999999", "x", "1,,2"} {
		if got, err := parseCPUList(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
	n, err := PossibleCPUs()
	if err != nil || n < 1 {
		t.Errorf("possible CPUs: got %d, %v", n, err)
	}
	online, err := OnlineCPUs()
	if err != nil || len(online) < 1 {
		t.Errorf("online CPUs: got %v, %v", online, err)
	}
}

func TestConfigIsParsed(t *testing.T) {
	got, err := parseConfig(strings.NewReader("# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=\"x,y\"\n"))
	if err != nil || got["CONFIG_B"] != "y" || got["CONFIG_C"] != "x,y" || got["CONFIG_A"] != "" {
		t.Errorf("got %v, %v", got, err)
	}
	c, err := KernelConfig()
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this kernel hides its build configuration:", err)
	}
	if err != nil || !c.On("CONFIG_BPF_SYSCALL") {
		t.Errorf("got %v, %v, want CONFIG_BPF_SYSCALL on", c, err)
	}
}

func root(t *testing.T) {
	t.Helper()
	caps, err := Capabilities()
	if err != nil {
		t.Fatal(err)
	}
	if !caps.Has(CapSysAdmin) {
		t.Skip("needs CAP_SYS_ADMIN")
	}
}

func mounts(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTracefsNeedsNoMount(t *testing.T) {
	root(t)
	before := mounts(t)
	fs, err := detached("tracefs")
	if err != nil {
		t.Fatal(err)
	}
	id, err := fs.ReadFile("events/sched/sched_process_exec/id")
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(id)) == "" {
		t.Error("got an empty tracepoint id")
	}
	if got := mounts(t); got != before {
		t.Errorf("a mount was left:\n%s", got)
	}
	if err := errors.Join(fs.Close(), fs.Close()); err != nil {
		t.Error(err)
	}
}

func TestPathsCannotLeaveTheFileSystem(t *testing.T) {
	root(t)
	fs, err := detached("tracefs")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	for _, bad := range []string{"", "/etc/passwd", "..", "../..", "events/../..", "a\x00b"} {
		if f, err := fs.Open(bad); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%q: got %v, %v, want %v", bad, f, err, os.ErrInvalid)
		}
	}
}

func TestCgroupsAreFoundByAbsoluteAndRelativePath(t *testing.T) {
	root(t)
	r, err := Cgroup2()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	self, err := OpenCgroup(".")
	if err != nil {
		t.Fatal(err)
	}
	self.Close()
	if r.Mounted() != "" {
		f, err := OpenCgroup(r.Mounted())
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	usual, err := OpenCgroup("/sys/fs/cgroup/") // also where version 2 is mounted below it
	if err != nil {
		t.Fatal(err)
	}
	usual.Close()
	for _, c := range []struct{ name, want string }{
		{"../x", "leads out"},
		{"/sys/fs/cgroup/no-such-group", "no such cgroup"},
		{"/sys/fs/cgroup/../../..", "not a directory of cgroup v2"},
		{"no-such-group", "no such cgroup"},
		{"/no/such/group", "no such cgroup"},
		{filepath.Dir(os.TempDir()), "not a directory of cgroup v2"},
	} {
		f, err := OpenCgroup(c.name)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want %q", c.name, f, err, c.want)
		}
	}
}

func TestUnknownFileSystemIsMissing(t *testing.T) {
	root(t)
	if _, err := detached("no-such-fs"); !errors.Is(err, ErrUnsupported) || !errors.Is(err, unix.ENODEV) {
		t.Errorf("got %v, want %v", err, ErrUnsupported)
	}
}

func TestSecurityModulesAreListed(t *testing.T) {
	root(t)
	list, err := LSMs()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 || list[0] == "" {
		t.Errorf("got %q", list)
	}
	t.Log(list, BPFLSM())
	state, err := Lockdown()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("lockdown %q", state)
}

func TestFeatureProbesLeaveAReason(t *testing.T) {
	root(t)
	for name, probe := range map[string]func() error{"btf": BTF, "kprobes": Kprobes, "uprobes": Uprobes, "trampolines": Trampolines} {
		err := probe()
		t.Log(name, err)
		if err != nil && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v, want nil or %v", name, err, ErrUnsupported)
		}
	}
}

func TestCapabilitiesSubstitute(t *testing.T) {
	s := CapSet(1 << CapSysAdmin)
	if got := s.Missing(CapBPF, CapPerfmon, CapNetAdmin); !slices.Equal(got, []Cap{CapNetAdmin}) {
		t.Errorf("got %v", got)
	}
	if got := CapBPF.String(); got != "CAP_BPF" {
		t.Errorf("got %q", got)
	}
}

func TestBPFLSMNeedsToBeStarted(t *testing.T) {
	if err := bpfAmong([]string{"capability", "bpf"}); err != nil {
		t.Error(err)
	}
	err := bpfAmong([]string{"capability", "yama", "apparmor"})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "lsm=capability,yama,apparmor,bpf") {
		t.Errorf("got %v", err)
	}
}

func TestCgroup2NeedsNoMount(t *testing.T) {
	root(t)
	fs, err := detached("cgroup2")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	d, err := fs.OpenDir(".")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := isFS(d, unix.CGROUP2_SUPER_MAGIC); err != nil {
		t.Error(err)
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add("41 31 0:38 /a /b\\040c rw shared:4 - cgroup2 cgroup2 rw\n")
	f.Fuzz(func(t *testing.T, s string) {
		if mounts, err := parseMountinfo(strings.NewReader(s)); err == nil && len(mounts) > strings.Count(s, "\n")+1 {
			t.Errorf("%d mounts from %q", len(mounts), s)
		}
	})
}

package kerneltest

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// gate says when a kernel should have a feature.
type gate struct {
	// words of an error's text that mean the feature, in lower case
	words []string
	// major and minor are the first Linux with it
	major, minor int
	// config are build options that it needs
	config []string
	// refused says why a kernel that was built with it may still lack it; nil where there is no such reason
	refused func() error
}

// gates has the features that tests may skip for. An error about anything else fails the test.
var gates = []gate{
	{words: []string{"userringbuf"}, major: 6, minor: 1},
	{words: []string{"cgroupstorage"}, major: 6, minor: 2},
	{words: []string{"inodestorage"}, major: 5, minor: 10, config: []string{"CONFIG_BPF_LSM"}},
	{words: []string{"taskstorage"}, major: 5, minor: 11},
	{words: []string{"trampoline", "fentry", "fexit", "fmod_ret", "freplace"}, major: 5, minor: 5,
		config: []string{"CONFIG_FUNCTION_TRACER", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"}, refused: trampolinesForbidden},
	{words: []string{"lsm_cgroup"}, major: 6, minor: 0,
		config: []string{"CONFIG_BPF_LSM", "CONFIG_CGROUP_BPF"}, refused: trampolinesForbidden},
	{words: []string{"bpf lsm", "lsm"}, major: 5, minor: 7,
		config: []string{"CONFIG_BPF_LSM", "CONFIG_FUNCTION_TRACER"}, refused: lsmForbidden},
	{words: []string{"kprobe.session"}, major: 6, minor: 10, config: []string{"CONFIG_FPROBE"}},
	{words: []string{"kprobe.multi", "kretprobe.multi"}, major: 5, minor: 18, config: []string{"CONFIG_FPROBE"}},
	{words: []string{"kprobe"}, major: 4, minor: 17, config: []string{"CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS"}},
	{words: []string{"uprobe.multi"}, major: 6, minor: 6, config: []string{"CONFIG_UPROBES"}},
	{words: []string{"uprobe"}, major: 4, minor: 17, config: []string{"CONFIG_UPROBES"}},
	{words: []string{"netkit"}, major: 6, minor: 7, config: []string{"CONFIG_NETKIT"}},
	{words: []string{"netfilter"}, major: 6, minor: 4, config: []string{"CONFIG_NETFILTER_BPF_LINK"}},
	{words: []string{"tcx"}, major: 6, minor: 6, config: []string{"CONFIG_NET_XGRESS"}},
	{words: []string{"clsact"}, major: 4, minor: 5, config: []string{"CONFIG_NET_CLS_BPF", "CONFIG_NET_SCH_INGRESS"}},
	{words: []string{"struct_ops", "structopsmap"}, major: 6, minor: 4},
	{words: []string{"sk_lookup"}, major: 5, minor: 9},
	{words: []string{"flow_dissector"}, major: 5, minor: 7},
	{words: []string{"sk_skb/verdict"}, major: 5, minor: 13, config: []string{"CONFIG_BPF_STREAM_PARSER"}},
	{words: []string{"sk_skb", "sk_msg", "sockmap"}, major: 5, minor: 10, config: []string{"CONFIG_BPF_STREAM_PARSER"}},
	{words: []string{"xdp.frags"}, major: 5, minor: 18},
	{words: []string{"xdp"}, major: 5, minor: 9},
	{words: []string{"iterators over the tasks of one process"}, major: 6, minor: 1},
	{words: []string{"iter"}, major: 5, minor: 8, config: []string{"CONFIG_DEBUG_INFO_BTF"}},
	{words: []string{"btf"}, major: 5, minor: 4, config: []string{"CONFIG_DEBUG_INFO_BTF"}},
	{words: []string{"ringbuf", "ring buffer"}, major: 5, minor: 8},
	{words: []string{"bloom"}, major: 5, minor: 16},
	{words: []string{"user ring"}, major: 6, minor: 1},
	{words: []string{"arena"}, major: 6, minor: 9},
	{words: []string{"cgroup"}, major: 4, minor: 10, config: []string{"CONFIG_CGROUP_BPF"}},
	{words: []string{"lirc"}, major: 4, minor: 18, config: []string{"CONFIG_BPF_LIRC_MODE2"}},
	{words: []string{"tracefs"}, major: 4, minor: 1, config: []string{"CONFIG_TRACING"}},
	{words: []string{"cookie", "perf link"}, major: 5, minor: 15},
	{words: []string{"syscall: "}, major: 5, minor: 14},
	{words: []string{"callback functions"}, major: 5, minor: 13},
}

// trampolinesForbidden is nil unless the kernel's policy refuses trampolines even to root. Any other reason is for the test to report.
func trampolinesForbidden() error {
	if err := kernel.Trampolines(); errors.Is(err, unix.EPERM) {
		return err
	}
	return nil
}

func lsmForbidden() error {
	if err := trampolinesForbidden(); err != nil {
		return err
	}
	return kernel.BPFLSM()
}

// SkipIfUnsupported skips the test if err says that the kernel lacks something and this kernel really cannot have it: it is too
// old, or was built or booted without it. If the kernel should have it, the test fails. Other errors and nil are left alone.
func SkipIfUnsupported(t testing.TB, err error) {
	t.Helper()
	if err == nil || !(errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, kernel.ErrUnsupported)) {
		return
	}
	g, ok := find(err)
	if !ok {
		t.Fatalf("%v\nno gate of kerneltest knows this feature; add one or mend the code", err)
	}
	if why := g.lacking(); why != "" {
		t.Skipf("%s: %v", why, err)
	}
	t.Fatalf("%v\nthis kernel (%s) should have it", err, kernel.Running())
}

// helper finds the helper function in a text, mapType the type of a map that could not be made.
var (
	helper  = regexp.MustCompile(`helper (bpf_\w+)`)
	mapType = regexp.MustCompile(`create map \S+ \((\w+),`)
)

// gateOfMap is the gate of a map type, by its name in lower case. For struct_ops maps other gates say more.
func gateOfMap(name string) (gate, bool) {
	for t := ebpf.Hash; ; t++ {
		since, ok := kernel.MapSince(t)
		if !ok {
			return gate{}, false
		}
		if t != ebpf.StructOpsMap && t.String() != "CGroupStorage" && strings.ToLower(t.String()) == name {
			return gate{major: since.Major, minor: since.Minor}, true
		}
	}
}

func find(err error) (gate, bool) {
	text := strings.ToLower(err.Error())
	if m := helper.FindStringSubmatch(text); m != nil {
		if since, ok := kernel.HelperSince(m[1]); ok {
			return gate{major: since.Major, minor: since.Minor}, true
		}
	}
	for _, g := range gates {
		for _, w := range g.words {
			if strings.Contains(text, w) {
				return g, true
			}
		}
	}
	if m := mapType.FindStringSubmatch(text); m != nil {
		if g, ok := gateOfMap(m[1]); ok {
			return g, true
		}
	}
	return gate{}, false
}

// lacking says why this kernel has no such feature; empty if it should have it.
func (g gate) lacking() string {
	if v := kernel.Running(); !v.AtLeast(g.major, g.minor) {
		return "Linux " + v.String() + " is too old"
	}
	if c, err := kernel.KernelConfig(); err == nil {
		for _, option := range g.config {
			if !c.On(option) {
				return "this kernel is built without " + option
			}
		}
	}
	if g.refused != nil {
		if err := g.refused(); err != nil {
			return err.Error()
		}
	}
	return ""
}

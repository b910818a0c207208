package kernel

import (
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Needs is what an object asks of a kernel, for [OldestKernel].
type Needs struct {
	Programs []ebpf.ProgramType
	Maps     []ebpf.MapType
	// Hooks are names such as "kprobe.multi"; those that are as old as their program type need not be known here.
	Hooks []string
	// Helpers are C names such as "bpf_loop".
	Helpers []string
	// BTF means that the kernel's own types are needed, GlobalData that there are global variables, Kfuncs that
	// functions of the kernel are called.
	BTF, GlobalData, Kfuncs bool
}

// OldestKernel is the first Linux version that has all that is needed, such as "5.8", as far as versions tell, and what
// asks for it. Distributions carry some features back into older kernels.
func OldestKernel(n Needs) (version, because string) {
	var newest Version
	ask := func(since, what string) {
		v, err := ParseVersion(since)
		if err == nil && !newest.AtLeast(v.Major, v.Minor) {
			newest, version, because = v, since, what
		}
	}
	for _, p := range n.Programs {
		ask(sinceOf(programFacts, p), "program type "+p.String())
	}
	for _, m := range n.Maps {
		ask(sinceOf(mapFacts, m), "map type "+m.String())
	}
	for _, h := range n.Hooks {
		ask(hookSince[h], "hook "+h)
	}
	for _, h := range n.Helpers {
		ask(helperSince(h), h)
	}
	if n.BTF {
		ask("5.4", "kernel BTF")
	}
	if n.GlobalData {
		ask("5.2", "global variables")
	}
	if n.Kfuncs {
		ask("5.18", "kernel functions (kfuncs)")
	}
	return version, because
}

func sinceOf[T comparable](facts []typeFacts[T], t T) string {
	i := slices.IndexFunc(facts, func(f typeFacts[T]) bool { return f.typ == t })
	if i < 0 {
		return ""
	}
	return facts[i].since
}

// hookSince has the hooks that are newer than their program type.
var hookSince = map[string]string{
	"tcx": "6.6", "netkit": "6.7", "fmod_ret": "5.7", "fsession": "7.0", "iter": "5.8", "lsm_cgroup": "6.0",
	"kprobe.multi": "5.18", "kretprobe.multi": "5.18", "kprobe.session": "6.10",
	"uprobe.multi": "6.6", "uretprobe.multi": "6.6", "uprobe.session": "6.13",
}

// helperVersions says up to which number the helper functions exist from a version on. Numbers are given in order of
// merging, so a few boundaries describe them all.
var helperVersions = []struct {
	last  int
	since string
}{
	{3, "3.19"}, {11, "4.1"}, {16, "4.2"}, {22, "4.3"}, {25, "4.4"}, {26, "4.5"}, {30, "4.6"}, {36, "4.8"}, {41, "4.9"},
	{44, "4.10"}, {45, "4.11"}, {47, "4.12"}, {50, "4.13"}, {53, "4.14"}, {57, "4.15"}, {59, "4.16"}, {64, "4.17"},
	{80, "4.18"}, {83, "4.19"}, {90, "4.20"}, {92, "5.0"}, {98, "5.1"}, {108, "5.2"}, {109, "5.3"}, {110, "5.4"},
	{115, "5.5"}, {118, "5.6"}, {124, "5.7"}, {135, "5.8"}, {141, "5.9"}, {155, "5.10"}, {162, "5.11"}, {163, "5.12"},
	{165, "5.13"}, {168, "5.14"}, {175, "5.15"}, {179, "5.16"}, {185, "5.17"}, {193, "5.18"}, {203, "5.19"}, {207, "6.0"},
	{209, "6.1"}, {211, "6.2"},
}

// helperSince is the first version that has a helper function, empty if it is unknown.
func helperSince(name string) string {
	id := helperID(name)
	if id == 0 {
		return ""
	}
	for _, v := range helperVersions {
		if id <= v.last {
			return v.since
		}
	}
	return ""
}

// helperID finds the number of a helper by its C name, 0 if there is none.
func helperID(name string) int {
	want := "Fn" + strings.ReplaceAll(strings.TrimPrefix(name, "bpf_"), "_", "")
	for id := 1; id <= helperVersions[len(helperVersions)-1].last; id++ {
		if strings.EqualFold(asm.BuiltinFunc(id).String(), want) {
			return id
		}
	}
	return 0
}

package bpf

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
)

// Where is where a program is attached by a target, in words that can be compared: for whoever decides what may be attached where.
type Where struct {
	Hook Hook
	// Kind is what the section name adds to the hook: "connect4", "skb/egress" (cgroup), "ingress" (tc, tcx), "primary" (netkit),
	// "stream_verdict" (sk_skb), the security hook (lsm_cgroup).
	Kind string
	// Name is the interface, the tracepoint, the function or functions (with commas between them, or a pattern), the security hook, the
	// kind of iterator or struct_ops, the family of netfilter; or an absolute path: of a control group below the root of cgroup v2, of a
	// file or device behind symbolic links, of a network namespace ("." is the own one).
	Name string
	// Symbol is the function or functions in the file (uprobe), "provider:name" (usdt), or the chain (netfilter).
	Symbol string
	// Offset says that the place is some bytes behind that function, or in the file, and so may be anywhere.
	Offset bool
}

// Where says where Attach would put the program. The second result is the target made whole from the section name and with its paths
// resolved: attaching to that one attaches there, as long as nobody replaces the files on the way. It matches [ErrTarget] for a target
// that is not whole or does not exist.
func (p *Program) Where(t Target) (Where, Target, error) {
	at := Where{Hook: p.hook}
	err := checkTarget(t)
	if err == nil {
		err = p.place(&at, &t)
	}
	if err != nil {
		return at, t, fmt.Errorf("attach %s: %w", p.hook, p.explain(err))
	}
	at.Offset = t.Offset != 0
	return at, t, nil
}

func (p *Program) place(at *Where, t *Target) (err error) {
	switch p.hook {
	case HookXDP:
		at.Name = t.Interface
	case HookTC, HookTCX:
		at.Kind, at.Name = cmp.Or(p.attachTo, string(t.Direction), string(Ingress)), t.Interface
	case HookNetkit:
		at.Kind, at.Name = p.attachTo, t.Interface
	case HookCgroup:
		at.Kind = p.attachTo
		if at.Kind == "skb" && t.Direction != DirectionAuto {
			at.Kind += "/" + string(t.Direction)
		}
		at.Name, err = placeCgroup(t)
	case HookSockOps:
		at.Name, err = placeCgroup(t)
	case HookLSMCgroup:
		at.Kind = p.attachTo
		at.Name, err = placeCgroup(t)
	case HookSkLookup, HookFlowDissector:
		at.Name, err = placeNetns(t)
	case HookSkSKB:
		at.Kind = p.attachTo
	case HookTracepoint, HookRawTracepoint:
		t.Symbol = cmp.Or(t.Symbol, p.attachTo)
		at.Name = t.Symbol
	case HookStructOps:
		at.Name, _, _ = strings.Cut(p.attachTo, ":")
	case HookKprobe, HookKretprobe, HookKsyscall, HookKretsyscall, HookKprobeMulti, HookKretMulti, HookKprobeSession:
		if err = p.fromSection(t, t.hasSymbol()); err == nil {
			at.Name = t.symbols()
		}
	case HookUprobe, HookUretprobe, HookUprobeMulti, HookUretMulti, HookUprobeSession, HookUSDT:
		if err = p.fromSection(t, t.Path != "" && t.hasSymbol()); err == nil {
			at.Symbol = t.symbols()
			at.Name, err = placeBinary(t)
		}
	case HookNetfilter:
		at.Name, at.Symbol = orText(t.Family, "ipv4"), orText(t.Chain, "input")
	case HookLirc:
		t.Path, err = filepath.EvalSymlinks(t.Path)
		at.Name = t.Path
	case HookIter:
		at.Name = p.attachTo
		if t.Cgroup != "" {
			_, err = placeCgroup(t)
		}
	default:
		at.Name = p.attachTo
	}
	return err
}

// fromSection completes a target from the section name, unless it is whole.
func (p *Program) fromSection(t *Target, whole bool) error {
	if whole || p.attachTo == "" {
		return nil
	}
	section, err := ParseTarget(p.hook, p.attachTo)
	if err == nil {
		*t = t.or(section)
	}
	return err
}

// symbols are the functions that a target means.
func (t *Target) symbols() string {
	if len(t.Symbols) > 0 {
		return strings.Join(t.Symbols, ",")
	}
	return t.Symbol
}

// placeCgroup is the path of a cgroup, whatever way leads to it.
func placeCgroup(t *Target) (string, error) {
	dir, err := openCgroup(*t)
	if err != nil {
		return "", err
	}
	dir.Close()
	id, err := kernel.CgroupID(t.Cgroup)
	if err != nil {
		return "", err
	}
	path, err := kernel.CgroupPath(id)
	if err != nil {
		return "", err
	}
	t.Cgroup = path
	if path == "." {
		return "/", nil
	}
	return "/" + path, nil
}

// netnsOfProcess are the links in /proc that no path leads to.
var netnsOfProcess = regexp.MustCompile(`^/proc/[0-9]+/ns/net$`)

// placeNetns is the path of a network namespace, "." for the own one.
func placeNetns(t *Target) (string, error) {
	switch {
	case t.Netns == "":
		return ".", nil
	case !strings.Contains(t.Netns, "/"):
		t.Netns = filepath.Join("/run/netns", t.Netns)
	}
	t.Netns = filepath.Clean(t.Netns)
	var it, own unix.Stat_t
	if unix.Stat(t.Netns, &it) == nil && unix.Stat("/proc/thread-self/ns/net", &own) == nil && it.Dev == own.Dev && it.Ino == own.Ino { // by whatever name
		t.Netns = ""
		return ".", nil
	}
	if !netnsOfProcess.MatchString(t.Netns) { // a link that is no path
		real, err := filepath.EvalSymlinks(t.Netns)
		if err != nil {
			return "", noSuch("no network namespace %s", short(t.Netns))
		}
		t.Netns = real
	}
	return t.Netns, nil
}

// placeBinary is the path of a program or library. One that only a process in another file system sees keeps the way through that
// process.
func placeBinary(t *Target) (string, error) {
	file, err := resolveBinary(t.Path, t.PID)
	if err != nil {
		return "", err
	}
	root := fmt.Sprintf("/proc/%d/root", t.PID)
	if inside, ok := strings.CutPrefix(file, root+"/"); ok {
		if !sameFile(root, "/") {
			t.Path = filepath.Clean(file)
			return t.Path, nil
		}
		file = "/" + inside
	}
	if !filepath.IsAbs(file) {
		if file, err = filepath.Abs(file); err != nil {
			return "", badTarget("%w", err)
		}
	}
	if t.Path, err = filepath.EvalSymlinks(file); err != nil {
		return "", noSuch("no program or library %s", short(file))
	}
	return t.Path, nil
}

func sameFile(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino && sameMount(a, b)
}

// sameMount reports whether two directories are in the same mount, which tells two containers on one file system apart.
func sameMount(a, b string) bool {
	var x, y unix.Statx_t
	return unix.Statx(unix.AT_FDCWD, a, 0, unix.STATX_MNT_ID, &x) == nil && unix.Statx(unix.AT_FDCWD, b, 0, unix.STATX_MNT_ID, &y) == nil &&
		x.Mnt_id == y.Mnt_id
}

package ebpf

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestTextsOfTheHostAreUTF8(t *testing.T) {
	onEngines(t, func(t *testing.T, p *puppet) {
		group := kerneltest.Cgroup(t)
		dir, err := kernel.OpenCgroup(group)
		must(t, err)
		defer dir.Close()
		must(t, unix.Mkdirat(int(dir.Fd()), "caf\xe9", 0o755))
		defer func() { must(t, unix.Unlinkat(int(dir.Fd()), "caf\xe9", unix.AT_REMOVEDIR)) }()
		var st unix.Stat_t
		must(t, unix.Fstatat(int(dir.Fd()), "caf\xe9", &st, 0))

		buf, n := p.room(200), p.room(4)
		p.ok("kernel_cgroup_path", st.Ino, buf, ptr(n.ptr))
		if got, want := string(p.read(span{buf.ptr, p.u32(n.ptr)})), group+"/caf\uFFFD"; got != want {
			t.Errorf("path %q, want %q", got, want)
		}
	})
}

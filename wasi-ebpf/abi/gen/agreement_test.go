package main

import (
	"strings"
	"testing"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/wasi-ebpf/abi"
)

func TestSpecHeaderWITAndHostAgreeWithTheContract(t *testing.T) {
	for _, d := range readContract(t).disagreements() {
		t.Error(d)
	}
}

func TestAnyDisagreementIsFound(t *testing.T) {
	replace := func(s *string, old, new string) { *s = strings.Replace(*s, old, new, 1) }
	page := func(name, old, new string) func(*contract) {
		return func(c *contract) { c.pages[name] = strings.Replace(c.pages[name], old, new, 1) }
	}
	tests := []struct {
		name   string
		damage func(*contract)
		want   string
	}{
		{"spec: a function's type", page("map", "map_lookup(map: i32", "map_lookup(map: i64"), "map_lookup"},
		{"spec: a function is missing", page("link", "link_detach(link: i32) -> errno", "link_detach(link: i32) ->"), "link_detach is missing"},
		{"spec: a parameter is missing", page("events", "| `timeout` |", "| time-out |"), "timeout is missing"},
		{"spec: an error more", page("program", "| `NOSPC` |", "| `ROFS` |"), "error ROFS is not in the contract"},
		{"spec: a condition", page("object", "More than 64 MiB.", "More than 32 MiB."), "TOOBIG"},
		{"spec: a kernel", page("map", "**Kernel:** Linux 6.1.", "**Kernel:** Linux 6.2."), "first Linux"},
		{"spec: an offset", page("events", "| 8 | 8 | `lost` |", "| 12 | 8 | `lost` |"), "lost"},
		{"spec: a size", page("link", "Where a program is attached. 112 bytes.", "Where a program is attached. 96 bytes."), "112 bytes"},
		{"spec: a field is missing", page("kernel", "| `pointer_size` |", "| |"), "pointer_size is missing"},
		{"spec: a number", page("kernel", "| 7 | `boottime` |", "| 5 | `boottime` |"), "boottime"},
		{"spec: an errno", page("README", "| 76 | `NOTCAPABLE` |", "| 77 | `NOTCAPABLE` |"), "NOTCAPABLE"},
		{"header: a constant", func(c *contract) { replace(&c.header, "EBPF_EPERM = 63", "EBPF_EPERM = 1") }, "EBPF_EPERM"},
		{"header: a constant more", func(c *contract) { replace(&c.header, "\tEBPF_KIND_MAP = 2", "\tEBPF_KIND_PIPE = 2") }, "EBPF_KIND_PIPE"},
		{"header: an offset", func(c *contract) {
			replace(&c.header, "offsetof(struct ebpf_batch, lost) == 8", "offsetof(struct ebpf_batch, lost) == 12")
		}, "batch, lost"},
		{"header: a size", func(c *contract) {
			replace(&c.header, "sizeof(struct ebpf_target) == 112", "sizeof(struct ebpf_target) == 104")
		}, "target"},
		{"header: the version", func(c *contract) { replace(&c.header, "MINOR 0", "MINOR 1") }, "version"},
		{"header: an import's type", func(c *contract) { c.guest[3].Type.Params[0] = engine.I64 }, "header: import"},
		{"header: an import is missing", func(c *contract) { c.guest = c.guest[1:] }, "wasi_ebpf.version is missing"},
		{"header: the module", func(c *contract) { c.guest[0].Module = "wasi-ebpf" }, "wasi-ebpf.version is not in the contract"},
		{"host: a function is missing", func(c *contract) { c.offers = c.offers[1:] }, "host: import wasi_ebpf.version is missing"},
		{"host: a function more", func(c *contract) { c.offers[0].Name = "versions" }, "wasi_ebpf.versions is not in the contract"},
		{"host: a type", func(c *contract) { c.offers[3].Type.Results = nil }, "host: import"},
		{"WIT: a function is missing", func(c *contract) { replace(&c.wit, "    lookup-batch: func(", "    lookup-many: func(") }, "map.lookup-batch is missing"},
		{"WIT: an order of numbers", func(c *contract) { replace(&c.wit, "    native,\n", "    naive,\n") }, "set xdp"},
		{"WIT: an errno", func(c *contract) { replace(&c.wit, "    notcapable,\n", "") }, "errno"},
		{"WIT: the version", func(c *contract) { replace(&c.wit, "@1.0.0;", "@2.0.0;") }, "package"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := readContract(t)
			tt.damage(&c)
			found := c.disagreements()
			if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), tt.want) {
				t.Errorf("found %q, want something about %q", found, tt.want)
			}
		})
	}
}

func TestHooksSayWhenTheHostCanAttach(t *testing.T) {
	for _, h := range abi.Hooks() {
		since, ok := kernel.AttachSince(h.Name)
		if !ok || since.Short() != h.Kernel {
			t.Errorf("hook %s: the contract says Linux %s, the host %s", h.Name, h.Kernel, since.Short())
		}
	}
}

func TestAPageMustHaveEachBlockOnce(t *testing.T) {
	const block = "<!-- begin function unpin -->\n<!-- end function unpin -->\n"
	whole := readContract(t).pages["handle"]
	start := strings.Index(whole, "<!-- begin function unpin -->")
	without := whole[:start]
	if text, err := fill("handle", without+block); err != nil || text != whole {
		t.Errorf("an empty block is not filled as it was: %v", err)
	}
	for name, page := range map[string]string{
		"missing": without, "twice": whole + block, "unknown": whole + strings.ReplaceAll(block, "unpin", "unpinn"),
		"of another page": whole + strings.ReplaceAll(block, "unpin", "map_info"), "half": whole + "<!-- begin function unpin -->\n",
		"ends as another": without + strings.Replace(block, "end function unpin", "end function pin", 1),
	} {
		if _, err := fill("handle", page); err == nil {
			t.Errorf("a block that is %s is taken", name)
		}
	}
}

package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/runtime/engine"
)

var wasiScenarios = []scenario{
	{"wasi_args", playArgs},
	{"wasi_streams", playStreams},
	{"wasi_clocks", playClocks},
	{"wasi_read", playRead},
	{"wasi_escape", func(p *play) { inside, outside := p.dirs(); p.escape(inside, outside, inside) }},
	{"wasi_escape_held", playEscapeHeld},
	{"wasi_write", playWrite},
}

// Where the driver keeps things in the guest's memory.
const (
	atResult = 16
	atVector = 32
	atName   = 1024
	atName2  = 2048
	atBuffer = 4096
	bufSize  = 4096
)

// wasiCall calls a WASI function without a log and tells whether it succeeded.
// The numbers of errors differ between engines in places.
func (p *play) wasiCall(name string, args ...any) bool {
	p.t.Helper()
	typ := engine.FuncType{Params: typesOf(args), Results: []engine.ValueType{engine.I32}}
	stack := make([]uint64, typ.StackLen())
	for i, a := range args {
		stack[i] = slot(a)
	}
	if err := p.in.Call(p.t.Context(), name, typ, stack); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return stack[0] == 0
}

func (p *play) u32(at int) uint32 { return binary.LittleEndian.Uint32(p.in.Memory()[at:]) }
func (p *play) u64(at int) uint64 { return binary.LittleEndian.Uint64(p.in.Memory()[at:]) }

// put places a string in the guest's memory and gives it as parameters.
func (p *play) put(at int32, s string) (ptr, n int32) {
	copy(p.in.Memory()[at:], s)
	return at, int32(len(s))
}

// vector makes an io vector of one buffer.
func (p *play) vector(n int32) (ptr, count int32) {
	binary.LittleEndian.PutUint32(p.in.Memory()[atVector:], atBuffer)
	binary.LittleEndian.PutUint32(p.in.Memory()[atVector+4:], uint32(n))
	return atVector, 1
}

func (p *play) write(fd int32, s string) (int, bool) {
	_, n := p.put(atBuffer, s)
	v, c := p.vector(n)
	ok := p.wasiCall("fd_write", fd, v, c, int32(atResult))
	return int(p.u32(atResult)), ok
}

func (p *play) read(fd int32) (string, bool) {
	v, c := p.vector(bufSize)
	if !p.wasiCall("fd_read", fd, v, c, int32(atResult)) {
		return "", false
	}
	return string(p.in.Memory()[atBuffer : atBuffer+p.u32(atResult)]), true
}

// The rights and flags of path_open.
const (
	readRight   = int64(1 << 1)
	writeRight  = int64(1 << 6)
	allRights   = int64(1<<29 - 1)
	flagCreate  = int32(1)
	flagDir     = int32(2)
	flagTrunc   = int32(8)
	followLinks = int32(1)
)

func (p *play) open(dir int32, name string, oflags int32, rights int64) (int32, bool) {
	ptr, n := p.put(atName, name)
	if !p.wasiCall("path_open", dir, followLinks, ptr, n, oflags, rights, allRights, int32(0), int32(atResult)) {
		return 0, false
	}
	return int32(p.u32(atResult)), true
}

func said(ok bool) string {
	if ok {
		return "ok"
	}
	return "refused"
}

// cat reads a file and logs what is in it.
func (p *play) cat(dir int32, name string) {
	fd, ok := p.open(dir, name, 0, readRight)
	if !ok {
		p.logf("read %s: refused", name)
		return
	}
	text, ok := p.read(fd)
	p.logf("read %s: %s %q", name, said(ok), text)
	if !p.wasiCall("fd_close", fd) {
		p.t.Errorf("close %s is refused", name)
	}
}

func playArgs(p *play) {
	for _, w := range []engine.WASI{
		{},
		{Args: []string{"prog", "", "two words", "żółw"}, Env: []string{"A=1", "EMPTY=", "EQ=a=b"}},
	} {
		if !p.load("wasi", engine.InstanceConfig{WASI: &w}) {
			return
		}
		for _, what := range []string{"args", "environ"} {
			if !p.wasiCall(what+"_sizes_get", int32(atResult), int32(atResult+4)) {
				p.t.Fatalf("%s_sizes_get is refused", what)
			}
			count, size := p.u32(atResult), p.u32(atResult+4)
			if !p.wasiCall(what+"_get", int32(atVector), int32(atBuffer)) {
				p.t.Fatalf("%s_get is refused", what)
			}
			p.logf("%s: %d %q", what, count, p.in.Memory()[atBuffer:atBuffer+size])
		}
	}
}

func playStreams(p *play) {
	var out, errs bytes.Buffer
	w := engine.WASI{Stdin: strings.NewReader("typed in\n"), Stdout: &out, Stderr: &errs}
	if !p.load("wasi", engine.InstanceConfig{WASI: &w}) {
		return
	}
	for range 2 {
		text, ok := p.read(0)
		p.logf("stdin: %s %q", said(ok), text)
	}
	n, ok := p.write(1, "to stdout\n")
	p.logf("stdout: %s %d %q", said(ok), n, out.String())
	n, ok = p.write(2, "to stderr\n")
	p.logf("stderr: %s %d %q", said(ok), n, errs.String())
	_, ok = p.write(3, "nowhere")
	p.logf("descriptor 3: %s", said(ok))
	if !p.load("wasi", engine.InstanceConfig{WASI: &engine.WASI{}}) {
		return
	}
	text, ok := p.read(0)
	p.logf("no stdin: %s %q", said(ok), text)
	n, ok = p.write(1, "lost")
	p.logf("no stdout: %s %d", said(ok), n)
}

func playClocks(p *play) {
	stop := make(chan struct{})
	if !p.load("wasi", engine.InstanceConfig{WASI: &engine.WASI{Stop: stop}}) {
		return
	}
	clock := func(id int32) uint64 {
		if !p.wasiCall("clock_time_get", id, int64(1), int32(atResult)) {
			p.t.Fatalf("clock %d is refused", id)
		}
		return p.u64(atResult)
	}
	drift := time.Since(time.Unix(0, int64(clock(0)))).Abs()
	p.logf("the real time: %v", drift < time.Minute)
	first := clock(1)
	p.logf("the monotonic clock goes on: %v", clock(1) >= first)

	var drawn [2]string
	for i := range drawn {
		if !p.wasiCall("random_get", int32(atBuffer), int32(32)) {
			p.t.Fatal("random_get is refused")
		}
		drawn[i] = string(p.in.Memory()[atBuffer : atBuffer+32])
	}
	p.logf("random bytes differ: %v", drawn[0] != drawn[1])

	sleep := func(d time.Duration) time.Duration {
		sub := p.in.Memory()[atBuffer : atBuffer+48]
		clear(sub)
		sub[16] = 1 // the monotonic clock
		binary.LittleEndian.PutUint64(sub[24:], uint64(d))
		begin := time.Now()
		if !p.wasiCall("poll_oneoff", int32(atBuffer), int32(atBuffer+256), int32(1), int32(atResult)) {
			p.t.Fatal("poll_oneoff is refused")
		}
		return time.Since(begin)
	}
	const nap = 20 * time.Millisecond
	p.logf("a nap lasts: %v", sleep(nap) >= nap)
	time.AfterFunc(nap, func() { close(stop) })
	p.stopped(func() { sleep(time.Hour) })
	p.stopped(func() { sleep(time.Hour) })
}

// stopped runs a sleep of an hour that has to end early, by the stop channel
// or by an error that says so.
func (p *play) stopped(sleep func()) {
	begin := time.Now()
	sleep()
	p.logf("a long sleep ends early: %v", time.Since(begin) < time.Minute)
}

// dirs makes two directories on the host, one of which guests get, with links
// that lead out of it and links that do not.
func (p *play) dirs() (inside, outside string) {
	p.t.Helper()
	top := p.t.TempDir()
	inside, outside = filepath.Join(top, "inside"), filepath.Join(top, "outside")
	do := func(err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	do(os.MkdirAll(filepath.Join(inside, "sub"), 0o755))
	do(os.Mkdir(outside, 0o755))
	do(os.WriteFile(filepath.Join(inside, "file"), []byte("content"), 0o644))
	do(os.WriteFile(filepath.Join(inside, "sub", "deep"), []byte("deep content"), 0o644))
	do(os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o644))
	for name, target := range map[string]string{
		"near":     "sub/deep",
		"sub/back": "../file",
		"relative": "../outside/secret",
		"absolute": filepath.Join(outside, "secret"),
		"dir":      "../outside",
		"absdir":   outside,
		"sub/up":   "../..",
		"loop":     "loop",
		"two":      "relative",
	} {
		do(os.Symlink(target, filepath.Join(inside, name)))
	}
	return inside, outside
}

func playRead(p *play) {
	inside, outside := p.dirs()
	w := engine.WASI{Dirs: []engine.Dir{{Host: inside, Guest: "/data"}, {Host: outside, Guest: "other"}}}
	if !p.load("wasi", engine.InstanceConfig{WASI: &w}) {
		return
	}
	for fd := int32(3); fd < 6; fd++ {
		if !p.wasiCall("fd_prestat_get", fd, int32(atResult)) {
			p.logf("descriptor %d: refused", fd)
			continue
		}
		n := int32(p.u32(atResult + 4))
		ok := p.wasiCall("fd_prestat_dir_name", fd, int32(atBuffer), n)
		p.logf("descriptor %d: %s %q", fd, said(ok), p.in.Memory()[atBuffer:atBuffer+n])
	}
	for _, name := range []string{"file", "./file", "sub/deep", "sub/../file", "near", "sub/back", "absent", "file/x"} {
		p.cat(3, name)
	}
	p.cat(4, "secret")
	if dir, ok := p.open(3, "sub", flagDir, readRight); ok {
		p.logf("in sub")
		p.cat(dir, "deep")
		p.cat(dir, "../file")
	}
	ptr, n := p.put(atName, "file")
	ok := p.wasiCall("path_filestat_get", int32(3), followLinks, ptr, n, int32(atBuffer))
	p.logf("size of file: %s %d", said(ok), p.u64(atBuffer+32))

	w.Dirs = []engine.Dir{{Host: filepath.Join(inside, "no such directory"), Guest: "/"}}
	p.load("wasi", engine.InstanceConfig{WASI: &w})
	w.Dirs = []engine.Dir{{Host: filepath.Join(inside, "file"), Guest: "/"}}
	p.load("wasi", engine.InstanceConfig{WASI: &w})
}

// playEscapeHeld preopens a directory that the host holds open, by the path of its descriptor.
func playEscapeHeld(p *play) {
	inside, outside := p.dirs()
	f, err := os.OpenFile(inside, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	p.escape(inside, outside, fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}

// escape tries every way out of a preopened directory, which the host knows by the path host.
func (p *play) escape(inside, outside, host string) {
	w := engine.WASI{Dirs: []engine.Dir{{Host: host, Guest: "/", Write: true}}}
	if !p.load("wasi", engine.InstanceConfig{WASI: &w}) {
		return
	}
	for _, name := range []string{
		"../outside/secret", "sub/../../outside/secret", "..", "sub/../..", "relative", "absolute", "two", "dir/secret", "absdir/secret",
		"sub/up/outside/secret", "sub/up", "loop",
	} {
		p.cat(3, name)
		if _, ok := p.open(3, name, flagCreate, readRight|writeRight); ok {
			p.t.Errorf("%s opens for writing", name)
		}
	}
	if _, ok := p.open(3, filepath.Join(outside, "secret"), 0, readRight); ok {
		p.t.Error("an absolute path opens")
	}
	if sub, ok := p.open(3, "sub", flagDir, readRight); ok {
		p.logf("from sub")
		p.cat(sub, "../../outside/secret")
		p.cat(sub, "up/outside/secret")
	}
	for _, name := range []string{"../new", "dir/new", "absdir/new"} {
		ptr, n := p.put(atName, name)
		p.logf("make directory %s: %s", name, said(p.wasiCall("path_create_directory", int32(3), ptr, n)))
	}
	for _, name := range []string{"../outside/secret", "dir/secret", "absdir/secret"} {
		ptr, n := p.put(atName, name)
		p.logf("unlink %s: %s", name, said(p.wasiCall("path_unlink_file", int32(3), ptr, n)))
		ptr2, n2 := p.put(atName2, "stolen")
		p.logf("rename %s: %s", name, said(p.wasiCall("path_rename", int32(3), ptr, n, int32(3), ptr2, n2)))
		p.logf("rename to %s: %s", name, said(p.wasiCall("path_rename", int32(3), ptr2, n2, int32(3), ptr, n)))
		p.logf("stat %s: %s", name, said(p.wasiCall("path_filestat_get", int32(3), followLinks, ptr, n, int32(atBuffer))))
	}
	target, n := p.put(atName, "../outside")
	link, n2 := p.put(atName2, "made")
	_ = p.wasiCall("path_symlink", target, n, int32(3), link, n2) // it may be made or not
	p.cat(3, "made/secret")
	entries, err := os.ReadDir(outside)
	text, err2 := os.ReadFile(filepath.Join(outside, "secret"))
	p.logf("outside: %d entries, %q, %v %v", len(entries), text, err, err2)
}

func playWrite(p *play) {
	for _, write := range []bool{false, true} {
		inside, _ := p.dirs()
		w := engine.WASI{Dirs: []engine.Dir{{Host: inside, Guest: "/", Write: write}}}
		if !p.load("wasi", engine.InstanceConfig{WASI: &w}) {
			return
		}
		p.logf("write: %v", write)
		p.change("new", flagCreate)
		p.change("file", flagTrunc)
		p.change("sub/deep", 0)
		p.change("sub/back", 0)
		ptr, n := p.put(atName, "made")
		p.logf("make directory: %s", said(p.wasiCall("path_create_directory", int32(3), ptr, n)))
		p.logf("remove directory: %s", said(p.wasiCall("path_remove_directory", int32(3), ptr, n)))
		ptr, n = p.put(atName, "sub")
		p.logf("remove a full directory: %s", said(p.wasiCall("path_remove_directory", int32(3), ptr, n)))
		p.logf("unlink a directory: %s", said(p.wasiCall("path_unlink_file", int32(3), ptr, n)))
		ptr, n = p.put(atName, "near")
		ptr2, n2 := p.put(atName2, "far")
		p.logf("rename a link: %s", said(p.wasiCall("path_rename", int32(3), ptr, n, int32(3), ptr2, n2)))
		ptr, n = p.put(atName, "sub/deep")
		p.logf("unlink: %s", said(p.wasiCall("path_unlink_file", int32(3), ptr, n)))
		for _, name := range []string{"new", "file", "sub/deep"} {
			text, err := os.ReadFile(filepath.Join(inside, name))
			p.logf("on the host, %s: %q %v", name, text, err == nil)
		}
	}
}

// change opens a file for writing and writes to it.
func (p *play) change(name string, oflags int32) {
	fd, ok := p.open(3, name, oflags, writeRight)
	if !ok {
		p.logf("open %s: refused", name)
		return
	}
	n, ok := p.write(fd, "NEW")
	p.logf("write %s: %s %d", name, said(ok), n)
	_ = p.wasiCall("fd_close", fd)
}

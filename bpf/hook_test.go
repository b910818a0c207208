package bpf

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/kernel"
)

func TestEverySectionNameHasAHook(t *testing.T) {
	for section, want := range map[string]struct {
		hook Hook
		to   string
	}{
		"socket":                  {HookSocket, ""},
		"socket1":                 {HookSocket, ""},
		"sk_reuseport/migrate":    {HookSkReuseport, "migrate"},
		"sk_reuseport":            {HookSkReuseport, ""},
		"kprobe/vfs_read+0x10":    {HookKprobe, "vfs_read+0x10"},
		"kprobe":                  {HookKprobe, ""},
		"kretprobe/vfs_read":      {HookKretprobe, "vfs_read"},
		"uprobe//bin/bash:main":   {HookUprobe, "/bin/bash:main"},
		"uprobe.s/libc.so.6:read": {HookUprobe, "libc.so.6:read"},
		"uretprobe":               {HookUretprobe, ""},
		"uretprobe.s":             {HookUretprobe, ""},
		"kprobe.multi/tcp_*":      {HookKprobeMulti, "tcp_*"},
		"kretprobe.multi/tcp_*":   {HookKretMulti, "tcp_*"},
		"kprobe.session/tcp_*":    {HookKprobeSession, "tcp_*"},
		"uprobe.multi/libc:m*":    {HookUprobeMulti, "libc:m*"},
		"uprobe.multi.s/libc:m*":  {HookUprobeMulti, "libc:m*"},
		"uretprobe.multi/x:y":     {HookUretMulti, "x:y"},
		"uretprobe.multi.s/x:y":   {HookUretMulti, "x:y"},
		"uprobe.session/x:y":      {HookUprobeSession, "x:y"},
		"uprobe.session.s/x:y":    {HookUprobeSession, "x:y"},
		"ksyscall/openat":         {HookKsyscall, "openat"},
		"kretsyscall/openat":      {HookKretsyscall, "openat"},
		"usdt/libc:libc:setjmp":   {HookUSDT, "libc:libc:setjmp"},
		"usdt.s":                  {HookUSDT, ""},
		"tc/ingress":              {HookTC, "ingress"},
		"tc/egress":               {HookTC, "egress"},
		"tcx/ingress":             {HookTCX, "ingress"},
		"tcx/egress":              {HookTCX, "egress"},
		"tc":                      {HookTC, ""},
		"classifier/main":         {HookTC, ""},
		"action":                  {HookTCAction, ""},
		"netkit/primary":          {HookNetkit, "primary"},
		"netkit/peer":             {HookNetkit, "peer"},
		"tracepoint/sched/sched_switch": {
			HookTracepoint, "sched/sched_switch"},
		"tp/sched/sched_switch":       {HookTracepoint, "sched/sched_switch"},
		"raw_tracepoint/sched_switch": {HookRawTracepoint, "sched_switch"},
		"raw_tp/sched_switch":         {HookRawTracepoint, "sched_switch"},
		"raw_tracepoint.w/x":          {HookRawTracepoint, "x"},
		"raw_tp.w/x":                  {HookRawTracepoint, "x"},
		"tp_btf/sched_switch":         {HookTPBTF, "sched_switch"},
		"fentry/vfs_read":             {HookFentry, "vfs_read"},
		"fentry.s/vfs_read":           {HookFentry, "vfs_read"},
		"fexit/vfs_read":              {HookFexit, "vfs_read"},
		"fexit.s/vfs_read":            {HookFexit, "vfs_read"},
		"fmod_ret/x":                  {HookFmodRet, "x"},
		"fmod_ret.s/x":                {HookFmodRet, "x"},
		"fsession/x":                  {HookFsession, "x"},
		"fsession.s/x":                {HookFsession, "x"},
		"freplace/x":                  {HookFreplace, "x"},
		"lsm/file_open":               {HookLSM, "file_open"},
		"lsm.s/file_open":             {HookLSM, "file_open"},
		"lsm_cgroup/socket_bind":      {HookLSMCgroup, "socket_bind"},
		"iter/task":                   {HookIter, "task"},
		"iter.s/task":                 {HookIter, "task"},
		"syscall":                     {HookSyscall, ""},
		"xdp":                         {HookXDP, ""},
		"xdp_prog":                    {HookXDP, ""},
		"xdp.frags":                   {HookXDP, ""},
		"xdp/devmap":                  {HookXDP, "devmap"},
		"xdp.frags/devmap":            {HookXDP, "devmap"},
		"xdp/cpumap":                  {HookXDP, "cpumap"},
		"xdp.frags/cpumap":            {HookXDP, "cpumap"},
		"perf_event":                  {HookPerfEvent, ""},
		"lwt_in":                      {HookLWT, "in"},
		"lwt_out":                     {HookLWT, "out"},
		"lwt_xmit":                    {HookLWT, "xmit"},
		"lwt_seg6local":               {HookLWT, "seg6local"},
		"sockops":                     {HookSockOps, ""},
		"sk_skb/stream_parser":        {HookSkSKB, "stream_parser"},
		"sk_skb/stream_verdict":       {HookSkSKB, "stream_verdict"},
		"sk_skb/verdict":              {HookSkSKB, "verdict"},
		"sk_skb":                      {HookSkSKB, ""},
		"sk_msg":                      {HookSkMsg, ""},
		"lirc_mode2":                  {HookLirc, ""},
		"flow_dissector":              {HookFlowDissector, ""},
		"cgroup_skb/ingress":          {HookCgroup, "skb/ingress"},
		"cgroup_skb/egress":           {HookCgroup, "skb/egress"},
		"cgroup/skb":                  {HookCgroup, "skb"},
		"cgroup/connect4":             {HookCgroup, "connect4"},
		"struct_ops/x":                {HookStructOps, "x"},
		"struct_ops.s":                {HookStructOps, ""},
		"sk_lookup":                   {HookSkLookup, ""},
		"netfilter":                   {HookNetfilter, ""},
		"?tp_btf/sched_switch":        {HookTPBTF, "sched_switch"},
		".text":                       {HookNone, ""},
		"":                            {HookNone, ""},
		"kprobes/x":                   {HookNone, ""},
	} {
		hook, to := hookOf(&ebpf.ProgramSpec{SectionName: section})
		if hook != want.hook || to != want.to {
			t.Errorf("%q: got %q, %q, want %q, %q", section, hook, to, want.hook, want.to)
		}
	}
}

func TestHookOfAProgramWithoutSection(t *testing.T) {
	for want, spec := range map[Hook]*ebpf.ProgramSpec{
		HookXDP:     {Type: ebpf.XDP, AttachType: ebpf.AttachXDP},
		HookIter:    {Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: "task"},
		HookTCX:     {Type: ebpf.SchedCLS, AttachType: ebpf.AttachTCXEgress},
		HookTC:      {Type: ebpf.SchedCLS},
		HookSkMsg:   {Type: ebpf.SkMsg},
		HookSyscall: {Type: ebpf.Syscall},
	} {
		if got, to := hookOf(spec); got != want || to != spec.AttachTo {
			t.Errorf("got %q, %q, want %q, %q", got, to, want, spec.AttachTo)
		}
	}
}

func TestEveryHookCanBeAttachedOrExplained(t *testing.T) {
	for _, r := range sectionRules {
		if info, ok := r.hook.info(); !ok || info.attach == nil {
			t.Errorf("hook %q has no way to attach", r.hook)
		}
		since, known := kernel.HookSince(string(r.hook))
		attach, _ := kernel.AttachSince(string(r.hook))
		if !known || !attach.AtLeast(since.Major, since.Minor) {
			t.Errorf("hook %q: since %s, to attach since %s", r.hook, since, attach)
		}
	}
}

func TestProgramsThatAreNotAttachedSayWhoRunsThem(t *testing.T) {
	o, p := loadHook(t, "trace", "runme")
	_, err := o.Attach(p, Target{})
	wantError(t, err, ErrType, "attach syscall", "BPF_PROG_TEST_RUN")
	o, p = loadHook(t, "net", "tunnel")
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrType, "attach lwt", "ip route add")
}

func TestLircNeedsAReceiver(t *testing.T) {
	o, p, err := tryLoadHook(t, "net", "remote")
	if err != nil {
		wantError(t, err, ErrUnsupported)
		return
	}
	_, err = o.Attach(p, Target{})
	wantError(t, err, ErrTarget, "attach lirc: no infrared receiver given; for example /dev/lirc0")
	_, err = o.Attach(p, Target{Path: "/dev/no-such-lirc"})
	wantError(t, err, ErrTarget, "no such file")
	_, err = o.Attach(p, Target{Path: "/dev/null"})
	wantError(t, err, ErrTarget, "no infrared receiver")
}

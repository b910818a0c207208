package bpf

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/bowline-edge/bowline/internal/kernel"
	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestProgramInfoAgreesWithTheLibrary(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := load(t, "maps", LoadOptions{NoLossCount: true})
	p := getProgram(t, o, "first")
	got, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Kernel().Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := want.ID()
	loaded, _ := want.LoadTime()
	uid, _ := want.CreatedByUID()
	verified, _ := want.VerifiedInstructions()
	memory, _ := want.Memlock()
	size, _ := want.TranslatedSize()
	btf, _ := want.BTFID()
	if got.ID != uint32(id) || got.Name != "first" || got.Tag != want.Tag || got.Loaded != loaded || got.UID != uid || got.Type != ebpf.SocketFilter ||
		got.VerifiedInsns != verified || got.Memlock != memory || got.TranslatedSize != uint32(size) || got.BTF != uint32(btf) || !got.GPL {
		t.Errorf("got %+v, want %+v", got, want)
	}
	maps, _ := want.MapIDs()
	for _, m := range maps {
		if !slices.Contains(got.Maps, uint32(m)) {
			t.Errorf("got maps %v, want %v", got.Maps, maps)
		}
	}
	if len(got.Maps) != len(maps) || len(maps) < 3 {
		t.Errorf("got maps %v, want %v", got.Maps, maps)
	}
	now, err := kernel.Boottime.Now()
	if err != nil || got.Loaded <= 0 || got.Loaded > now {
		t.Errorf("loaded at %v, now it is %v, %v", got.Loaded, now, err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = p.Info()
	wantError(t, err, os.ErrClosed, "first")
	wantError(t, p.Close(), ErrType, "belongs to an object")
}

func TestRunsAreCountedWhileStatisticsAreOn(t *testing.T) {
	p := onPacket(t)
	stats, err := EnableStats()
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Test runs are not counted by the kernel, packets are.
	if err := p.TestRun(context.Background(), &TestRun{Data: make([]byte, 64)}); err != nil {
		t.Fatal(err)
	}
	send := pair(t)
	pass := verdict(t, "xdp", 2)
	attachOwn(t, pass, Target{Interface: "vb", Mode: XDPGeneric})
	send()
	send()
	info, err := pass.Info()
	if err != nil || info.RunCount < 2 || info.RunTime <= 0 {
		t.Errorf("got %+v, %v", info, err)
	}
	if err := stats.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStatisticsNeedAdmin(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.WithoutCapabilities(t, func() {
		_, err := EnableStats()
		if !errors.Is(err, ErrUnsupported) {
			wantError(t, err, ErrPermission, "CAP_SYS_ADMIN")
		}
	})
}

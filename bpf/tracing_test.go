package bpf

import (
	"testing"

	"github.com/bowline-edge/bowline/internal/kernel"
)

func TestTypedTracepointRuns(t *testing.T) {
	_, p := loadHook(t, "trace", "typed")
	checkRuns(t, mustAttach(t, p, Target{}), getpgid)
}

func TestTracingTakesNoOtherTarget(t *testing.T) {
	o, p := loadHook(t, "trace", "typed")
	_, err := o.Attach(p, Target{Symbol: "sys_exit"})
	wantError(t, err, ErrTarget, "attach tp_btf to sys_exit", "loaded for sys_enter")
}

func TestTrampolineProgramsRunOrSayWhyNot(t *testing.T) {
	for _, name := range []string{"entry", "leave", "modify", "security", "security_cgroup"} {
		t.Run(name, func(t *testing.T) {
			_, p, err := tryLoadHook(t, "trampoline", name)
			if why := kernel.Trampolines(); why != nil {
				wantError(t, err, ErrUnsupported, "trampolines")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			switch name {
			case "entry", "leave":
				checkRuns(t, mustAttach(t, p, Target{}), getpgid)
			case "security":
				checkRuns(t, mustAttach(t, p, Target{}), openSomething)
			}
		})
	}
}

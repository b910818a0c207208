package runtime_test

import (
	"context"
	"fmt"
	"os"

	"github.com/bowline-edge/bowline/hostfuncs/ebpf"
	"github.com/bowline-edge/bowline/hostfuncs/session"
	"github.com/bowline-edge/bowline/hostfuncs/wasmbpf"
	"github.com/bowline-edge/bowline/policy"
	"github.com/bowline-edge/bowline/runtime"
	"github.com/bowline-edge/bowline/runtime/engine"
	"github.com/bowline-edge/bowline/runtime/engine/wazero"
)

// A program that embeds the runtime: load a plugin, run it, and look at its exit code.
func Example() {
	if err := embed(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output: exit code 3
}

func embed(ctx context.Context) error {
	eng, err := wazero.New(wazero.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	grants, err := policy.Lines("main", "tracing") // without a grant a plugin may do nothing
	if err != nil {
		return err
	}
	rights, err := policy.Effective(nil, policy.Plugin{Name: "reactor"}, grants)
	if err != nil {
		return err
	}
	may := session.Options{Guard: rights}
	rt, err := runtime.New(runtime.Options{
		Engine: eng, Providers: []engine.Provider{ebpf.Provider{Options: may}, wasmbpf.Provider{Options: may}},
	})
	if err != nil {
		return err
	}
	defer rt.Close()
	wasm, err := os.ReadFile("testdata/reactor.wasm")
	if err != nil {
		return err
	}
	mod, err := rt.Load(ctx, "reactor", wasm)
	if err != nil {
		return err
	}
	code, err := mod.Run(ctx, runtime.Config{Stdout: os.Stdout, Stderr: os.Stderr})
	fmt.Println("exit code", code)
	return err
}

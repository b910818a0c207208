// Package sdk_test runs the guests that call every function of the C headers.
package sdk_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bowline-edge/bowline/internal/kerneltest"
	"github.com/bowline-edge/bowline/node"
	"github.com/bowline-edge/bowline/policy"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func TestEveryComfortFunctionWorksOnTheKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	socket, err := conn.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	function := reflect.ValueOf(TestMain).Pointer()
	for _, engine := range node.Engines() {
		t.Run(engine, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			var stdout, stderr bytes.Buffer
			opts := node.RunOptions{
				Allow: policy.Everything(), File: "testdata/comfort.wasm", Engine: engine, CacheDir: "off", Stdout: &stdout, Stderr: &stderr,
				Names: map[string]string{"uplink": "lo"},
			}
			// An engine that compiles on threads of its own makes them here, and not inside of the namespace.
			if code, err := node.Run(ctx, opts); code != 2 || err != nil {
				t.Fatalf("without arguments the guest ended with %d, want 2: %v", code, err)
			}
			opts.Args = []string{fmt.Sprint(os.Getpid()), fmt.Sprint(socket.Fd()), fmt.Sprintf("%x", function)}
			var code int
			if nerr := kerneltest.Netns(t).Do(func() { code, err = node.Run(ctx, opts) }); nerr != nil {
				t.Fatal(nerr)
			}
			if err != nil || code != 0 || stdout.String() != "all is well\n" {
				t.Errorf("the guest ended with %d and printed %q: %v\n%s", code, stdout.String(), err, stderr.String())
			}
		})
	}
}

// The headers are for clang and wasm32, but tests of plugins may build them with the machine's compiler and functions of their own.
func TestHeadersAreC99AndCXX11(t *testing.T) {
	for _, lang := range []struct{ compiler, language, standard string }{{"gcc", "c", "c99"}, {"g++", "c++", "c++11"}} {
		t.Run(lang.standard, func(t *testing.T) {
			compiler, err := exec.LookPath(lang.compiler)
			if err != nil {
				t.Skip(err)
			}
			for _, header := range []string{"wasi_ebpf/abi.h", "wasi_ebpf/bpf.h", "wasi_ebpf/bpf_map.h", "wasi_ebpf/bpf_events.h", "wasi_ebpf/bpf_kernel.h"} {
				cmd := exec.Command(compiler, "-std="+lang.standard, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", ".", "-x", lang.language, "-")
				if lang.language == "c" {
					cmd.Args = append(cmd.Args, "-Wno-pointer-to-int-cast") // pointers have 32 bits where the header is for
				}
				cmd.Stdin = strings.NewReader("#include <" + header + ">\n")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", header, err, out)
				}
			}
		})
	}
}

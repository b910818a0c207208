// Command bowline runs WebAssembly plugins that load their own BPF programs.
package main

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/bowline-edge/bowline/internal/confine"
	"github.com/bowline-edge/bowline/node"
)

func main() {
	// Writing to a pipe that nobody reads gives EPIPE instead of a signal, so that a run can detach what it attached.
	signal.Ignore(unix.SIGPIPE)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	var err error
	if a.isolated, err = confine.Supervised(); err != nil {
		a.complain(err)
		os.Exit(node.ExitFailure)
	}
	os.Exit(a.run(os.Args[1:]))
}

package engine

import "io"

// Import names a function and its type, as a module declares it.
type Import struct {
	Module, Name string
	Type         FuncType
}

// Provider offers host functions to guests: one import module of the host
// interface, such as wasm_bpf. It is safe for concurrent use.
type Provider interface {
	// Offers lists every function that a guest may import. The same name may be
	// there with several types; the one that the guest declares is bound.
	Offers() []Import
	// Bind makes the state of one instance. The runtime closes the Bound after
	// the instance ended, however it ended.
	Bind(env Env) (Bound, error)
}

// Env is what a Provider gets to serve one guest.
type Env struct {
	// Name is the plugin's name for messages.
	Name string
	// Log takes one line for people, without a newline. Not nil.
	Log func(line string)
	// Report takes the outcome of a step that may be refused (load, attach), with
	// the whole error, because the guest may only get a number. A nil error says
	// that the step went well. Not nil.
	Report func(step string, err error)
	// Note is as Report, for interfaces whose guests get the text themselves: the
	// outcome counts for the exit code, but is told only to who asks for details.
	// Not nil.
	Note func(step string, err error)
	// Closing is called before something is closed for the guest that the kernel may take its time for, and what it answers after that:
	// a guest that is to end is not given up meanwhile. Nil is nothing.
	Closing func() (done func())
}

// Bound is the host's side of one instance.
type Bound interface {
	// Func gives the function for an import out of [Provider.Offers].
	Func(imp Import) HostFunc
	// Closer closes all that the guest left open, newest first.
	io.Closer
}

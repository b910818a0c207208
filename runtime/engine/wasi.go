package engine

import "io"

// WASI says what WASI preview 1 gives to one instance. Clocks and randomness
// are the real ones.
type WASI struct {
	// Args are the arguments, the program's name first.
	Args []string
	// Env holds "NAME=value" pairs. Nothing is taken from the host by itself.
	Env []string
	// Stdin, Stdout and Stderr are the standard streams. Nil reads as empty and
	// writes to nowhere.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Dirs are the preopened directories, in order, from descriptor 3 on.
	Dirs []Dir
	// MaxFiles is how many files and directories the guest may have open in them. One
	// more is not opened. Zero means DefaultMaxFiles.
	MaxFiles int
	// Stop, when closed, ends a sleep inside WASI early; the guest is expected to be
	// interrupted at the next host call. Nil means never.
	Stop <-chan struct{}
}

// DefaultMaxFiles is the limit of open files where none is given.
const DefaultMaxFiles = 256

// FilesLimit is how many files the guest may have open.
func (w *WASI) FilesLimit() int {
	if w.MaxFiles > 0 {
		return w.MaxFiles
	}
	return DefaultMaxFiles
}

// Dir is a preopened directory. A guest does not get out of it, neither by ".."
// nor by a symbolic link.
type Dir struct {
	// Host is the path on the host, Guest the name that the guest sees.
	Host, Guest string
	// Write allows changes; the default is read-only.
	Write bool
}

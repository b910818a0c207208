package abi

import (
	"slices"
	"strings"
)

// Errno is the result of every function. The numbers are those of WASI preview 1 (type errno of wasi_snapshot_preview1.witx), so
// that a guest can use its C library's names and texts.
type Errno uint16

// The errno values that this contract uses. 0 is success.
const (
	SUCCESS     Errno = 0
	TOOBIG      Errno = 1  // E2BIG
	ACCES       Errno = 2  // the verifier does not accept a program
	AGAIN       Errno = 6  // no room or no record now
	BADF        Errno = 8  // no such handle
	BUSY        Errno = 10 // somebody else uses it
	CANCELED    Errno = 11
	EXIST       Errno = 20
	FAULT       Errno = 21 // outside of the linear memory
	INTR        Errno = 27 // the host is stopping this instance
	INVAL       Errno = 28
	IO          Errno = 29
	LOOP        Errno = 32
	MFILE       Errno = 33
	MSGSIZE     Errno = 35 // the next record does not fit
	NAMETOOLONG Errno = 37
	NOBUFS      Errno = 42
	NODEV       Errno = 43 // no such interface or event
	NOENT       Errno = 44
	NOEXEC      Errno = 45 // not a BPF object
	NOMEM       Errno = 48
	NOSPC       Errno = 51
	NOSYS       Errno = 52
	NOTDIR      Errno = 54
	NOTSUP      Errno = 58 // the kernel lacks it
	OVERFLOW    Errno = 61
	PERM        Errno = 63 // the host process lacks a privilege
	RANGE       Errno = 68
	ROFS        Errno = 69 // it is read-only
	SRCH        Errno = 71 // no such process
	TIMEDOUT    Errno = 73
	NOTCAPABLE  Errno = 76 // the policy does not grant it
)

// ErrnoInfo is one errno with its name in the specification and in WASI.
type ErrnoInfo struct {
	Errno Errno
	// Name is the constant here and, with the prefix E, in the C header.
	Name string
	// WASI is the name in the WITX file.
	WASI string
	// Doc is what it means throughout this contract.
	Doc string
}

// Errnos lists every errno of the contract in the order of their numbers.
func Errnos() []ErrnoInfo { return slices.Clone(errnos) }

var errnos = []ErrnoInfo{
	{SUCCESS, "SUCCESS", "success", "It worked."},
	{TOOBIG, "TOOBIG", "2big", "Larger than the host or the kernel takes."},
	{ACCES, "ACCES", "acces", "The verifier does not accept a program; last_error has its log."},
	{AGAIN, "AGAIN", "again", "Not now: there is no room, or nothing to read."},
	{BADF, "BADF", "badf", "The handle is not open, or names another kind of object."},
	{BUSY, "BUSY", "busy", "Somebody else uses what can have one user at a time."},
	{CANCELED, "CANCELED", "canceled", "The object was closed while it was used."},
	{EXIST, "EXIST", "exist", "It is there already."},
	{FAULT, "FAULT", "fault", "A buffer does not lie inside the linear memory."},
	{INTR, "INTR", "intr", "The host is stopping this instance: return from _start soon."},
	{INVAL, "INVAL", "inval", "An argument makes no sense."},
	{IO, "IO", "io", "The kernel answered an error that has no number here."},
	{LOOP, "LOOP", "loop", "Too many levels, of symbolic links or of programs."},
	{MFILE, "MFILE", "mfile", "Too many handles or files are open."},
	{MSGSIZE, "MSGSIZE", "msgsize", "The next record does not fit into the buffer."},
	{NAMETOOLONG, "NAMETOOLONG", "nametoolong", "A name is too long."},
	{NOBUFS, "NOBUFS", "nobufs", "No buffer space."},
	{NODEV, "NODEV", "nodev", "There is no such interface or event."},
	{NOENT, "NOENT", "noent", "There is no such key, name or place."},
	{NOEXEC, "NOEXEC", "noexec", "The bytes are not a BPF object that the host can read."},
	{NOMEM, "NOMEM", "nomem", "Kernel memory, or a limit of this plugin, is used up."},
	{NOSPC, "NOSPC", "nospc", "The buffer or the map has no room for it."},
	{NOSYS, "NOSYS", "nosys", "The host does not offer this function."},
	{NOTDIR, "NOTDIR", "notdir", "A part of a path is not a directory."},
	{NOTSUP, "NOTSUP", "notsup", "The kernel, or this type of object, does not have it."},
	{OVERFLOW, "OVERFLOW", "overflow", "A number does not fit."},
	{PERM, "PERM", "perm", "The host process lacks a privilege."},
	{RANGE, "RANGE", "range", "A number is out of range."},
	{ROFS, "ROFS", "rofs", "It is read-only."},
	{SRCH, "SRCH", "srch", "There is no such process."},
	{TIMEDOUT, "TIMEDOUT", "timedout", "The time-out passed."},
	{NOTCAPABLE, "NOTCAPABLE", "notcapable", "The host's policy does not grant it; last_error names the missing grant."},
}

// String is the name in the specification, such as "NOENT".
func (e Errno) String() string {
	for _, i := range errnos {
		if i.Errno == e {
			return i.Name
		}
	}
	return "errno " + itoa(uint64(e))
}

func errnoByName(name string) (Errno, bool) {
	for _, i := range errnos {
		if strings.EqualFold(i.Name, name) {
			return i.Errno, true
		}
	}
	return 0, false
}

func itoa(n uint64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

// Package vmtest boots Debian's kernels in a virtual machine and runs test binaries inside: it fetches and unpacks a kernel package,
// builds the initial RAM disk, starts QEMU and brings back the output and the status of each program. It needs no root, no disk image
// and no network in the guest. Only x86-64 guests; the host may be another machine, because QEMU emulates.
package vmtest

import "errors"

// ErrGuest means that the guest, not a program in it, ended too early or hung. It may be worth a second try.
var ErrGuest = errors.New("guest failed")

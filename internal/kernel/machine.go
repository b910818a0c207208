package kernel

import (
	"math"
	"os"
	"strings"
)

// PointerSize returns the size of the kernel's pointers and longs in bytes, 4 or 8, which a 32-bit process cannot know from its own.
func PointerSize() int {
	if math.MaxUint == math.MaxUint64 {
		return 8
	}
	switch _, machine := Release(); machine {
	case "x86_64", "aarch64", "armv8l", "riscv64", "mips64", "ppc64", "ppc64le", "s390x", "loongarch64":
		return 8
	}
	return 4
}

// JIT reports whether the kernel compiles BPF programs to machine code. Where the setting may not be read it is taken to be on, as
// all distributions have it.
func JIT() bool {
	b, err := os.ReadFile("/proc/sys/net/core/bpf_jit_enable")
	if err != nil {
		return os.IsPermission(err)
	}
	return strings.TrimSpace(string(b)) != "0"
}

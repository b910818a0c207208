package kernel

import (
	"fmt"
	"slices"
	"strings"
)

// LSMs lists the security modules that this kernel was started with. It works without securityfs being mounted.
func LSMs() ([]string, error) {
	b, err := readSecurity("lsm")
	if err != nil {
		return nil, fmt.Errorf("list security modules: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(b)), ","), nil
}

// BPFLSM reports whether BPF LSM programs run: nil, or an error that says why they do not. Without "bpf" among the security
// modules attaching them succeeds and they are never called. Requires at least Linux 5.7.
func BPFLSM() error {
	list, err := LSMs()
	if err != nil {
		return err
	}
	return bpfAmong(list)
}

func bpfAmong(list []string) error {
	if slices.Contains(list, "bpf") {
		return nil
	}
	return &Missing{
		Feature: "BPF LSM",
		Need: fmt.Sprintf("\"bpf\" among the security modules, which are %s; boot with lsm=%s,bpf (and a kernel built with CONFIG_BPF_LSM)",
			strings.Join(list, ","), strings.Join(list, ",")),
	}
}

// Lockdown is the state of the kernel's lockdown: "none", "integrity", "confidentiality", or "" on a kernel without it.
// With "confidentiality" BPF cannot read kernel memory, and kprobes and perf events are refused.
func Lockdown() (string, error) {
	b, err := readSecurity("lockdown")
	if isNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read lockdown: %w", err)
	}
	_, rest, _ := strings.Cut(string(b), "[")
	state, _, _ := strings.Cut(rest, "]")
	return state, nil
}

func readSecurity(name string) ([]byte, error) {
	fs, err := Securityfs()
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	return fs.ReadFile(name)
}

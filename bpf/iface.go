package bpf

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// interfaceIndex looks a network device up in the current network namespace.
func interfaceIndex(name, example string) (int, error) {
	if name == "" {
		return 0, noTarget("interface", example)
	}
	all, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("list interfaces: %w", err)
	}
	var names []string
	for _, i := range all {
		if i.Name == name {
			return i.Index, nil
		}
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return 0, &targetError{text: "no such interface; give one of: " + strings.Join(names, ", "), cause: noInterface{}}
}

// noInterface says that something which does not exist is an interface: it matches [os.ErrNotExist] and ENODEV.
type noInterface struct{}

func (noInterface) Error() string        { return "no such interface" }
func (noInterface) Is(target error) bool { return target == os.ErrNotExist || target == unix.ENODEV }

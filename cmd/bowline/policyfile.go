package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/bowline-edge/bowline/policy"
)

// defaultPolicy is where the policy of a box is.
const defaultPolicy = "/etc/bowline/policy.yaml"

// maxPolicy is the largest policy file, in bytes.
const maxPolicy = 1 << 20

// boxPolicy reads the policy of the box. Without a name it is the usual file, which need not be there.
func boxPolicy(file string) (*policy.Policy, error) {
	name := file
	if name == "" {
		name = defaultPolicy
	}
	info, err := os.Stat(name)
	switch {
	case file == "" && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read policy: %w", err)
	case !info.Mode().IsRegular() || info.Size() > maxPolicy:
		return nil, fmt.Errorf("read policy %s: it is no regular file of at most %d KiB", name, maxPolicy>>10)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	return policy.Parse(b, name)
}

package session

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/bowline-edge/bowline/bpf"
)

// noSuchPlace adds to an error of attaching what a local name has to do with it, if there is no such interface or cgroup on this box.
func (s *Session) noSuchPlace(err error, t bpf.Target) error {
	if err == nil {
		return nil
	}
	name := t.Interface
	if name != "" {
		if _, missing := net.InterfaceByName(name); missing == nil {
			return err
		}
	} else if name = t.Cgroup; name == "" || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return s.hintAtName(err, name)
}

// hintAtName says how a name that is not on this box gets a meaning.
func (s *Session) hintAtName(err error, name string) error {
	for local, real := range s.opts.Names {
		if real == name {
			return fmt.Errorf("%w; the local name %q stands for it here (--name, or names: in the policy)", err, local)
		}
	}
	if strings.Contains(name, "/") {
		return err
	}
	return fmt.Errorf("%w; if %[2]q is a local name of the plugin, say what it stands for here: --name %[2]s=REAL, or names: in the policy", err, name)
}

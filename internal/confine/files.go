package confine

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Path is a file, or a directory with all below it, that stays open to the process. What is not there is left out.
type Path struct {
	Name string
	// Write allows writing, making, removing and renaming, too. Device allows ioctl(2) on devices.
	Write, Device bool
}

const (
	readFile  = landlock.AccessFSSet(ll.AccessFSReadFile)
	readAll   = readFile | ll.AccessFSReadDir
	writeFile = landlock.AccessFSSet(ll.AccessFSWriteFile | ll.AccessFSTruncate)
	writeAll  = writeFile | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir | ll.AccessFSMakeReg |
		ll.AccessFSMakeSym | ll.AccessFSMakeFifo | ll.AccessFSMakeSock
	rename = landlock.AccessFSSet(ll.AccessFSRefer) // from one directory into another
	device = landlock.AccessFSSet(ll.AccessFSIoctlDev)
	// never are rights that no Path gives: starting programs, making devices.
	never = landlock.AccessFSSet(ll.AccessFSExecute | ll.AccessFSMakeChar | ll.AccessFSMakeBlock)
)

// FilesABI is the version of Landlock in this kernel, 0 if it has none or it is off.
func FilesABI() int {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return abi
}

// Files closes the file system for all threads of the process but for the paths, as far as this kernel's Landlock goes. It also forbids to
// start programs, to use TCP (from version 4 on), and to look into processes other than its own: their memory, maps and descriptors.
// What is open stays as it is. It sets no_new_privs. On a kernel without Landlock it does nothing: see [FilesABI].
func Files(paths []Path) error {
	abi := FilesABI()
	if abi == 0 {
		return nil
	}
	all := readAll | writeAll | rename | device | never
	rules := make([]landlock.Rule, 0, len(paths))
	for _, p := range paths {
		info, err := os.Stat(p.Name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("close the file system (Landlock): %w", err)
		}
		dir := info.IsDir()
		access := readFile
		if dir {
			access = readAll
		}
		if p.Write {
			access |= writeFile
			if dir {
				access |= writeAll
			}
			if dir && abi > 1 { // the first version forbids it in any case
				access |= rename
			}
		}
		if p.Device {
			access |= device
		}
		rules = append(rules, landlock.PathAccess(access, p.Name).IgnoreIfMissing())
	}
	cfg := landlock.Config{HandledAccessFS: all, HandledAccessNet: landlock.AccessNetSet(ll.AccessNetBindTCP | ll.AccessNetConnectTCP)}
	if err := cfg.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("close the file system (Landlock): %w", err)
	}
	return nil
}

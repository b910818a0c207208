package kernel

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// Version is the version of a kernel.
type Version struct {
	Major, Minor, Patch int
}

// String is "6.1.0".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Short is "6.1", without the patch level.
func (v Version) Short() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	if v.Major != major {
		return v.Major > major
	}
	return v.Minor >= minor
}

// Release is the running kernel's release as uname gives it, such as "6.1.0-18-amd64", and the machine, such as "x86_64".
func Release() (release, machine string) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil { // fails only for a bad address
		return "", ""
	}
	return unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])
}

// Running is the version of the running kernel. Distributions add to old versions: ask for a feature, not for a version,
// wherever the feature can be asked for.
func Running() Version {
	release, _ := Release()
	v, _ := ParseVersion(release)
	return v
}

// ParseVersion reads the numbers at the start of a release: "5.10.0-28-amd64" is 5.10.0.
func ParseVersion(release string) (Version, error) {
	numbers := release
	if i := strings.IndexFunc(release, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); i >= 0 {
		numbers = release[:i]
	}
	parts := strings.SplitN(numbers, ".", 4)
	var v [3]int
	n := 0
	for ; n < len(parts) && n < 3; n++ {
		x, err := strconv.Atoi(parts[n])
		if err != nil {
			break
		}
		v[n] = x
	}
	if n < 2 {
		return Version{}, fmt.Errorf("kernel release %q: no version at its start", release)
	}
	return Version{v[0], v[1], v[2]}, nil
}

// VersionCode is the kernel's LINUX_VERSION_CODE, which programs of kprobe's type must carry before Linux 5.0; later kernels ignore
// it. Distributions put other numbers into uname, so for old kernels it comes from the vDSO, through /proc/self/mem. A process with
// file capabilities may not read that, nor need it on a newer kernel.
func VersionCode() uint32 {
	v := Running()
	if v != (Version{}) && !v.AtLeast(5, 0) {
		if code, err := features.LinuxVersionCode(); err == nil {
			return code
		}
	}
	return uint32(v.Major)<<16 | uint32(v.Minor&0xff)<<8 | uint32(min(v.Patch, 0xff))
}

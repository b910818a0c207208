package vmtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// suites are the Debian releases that carry a series of kernels. All others, and Newest, are looked for where Debian is made.
var suites = map[string][]string{"5.10": {"bullseye"}, "6.1": {"bookworm"}, "6.12": {"trixie"}}

var makingSuites = []string{"sid", "experimental"}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// apt is apt-get with lists and a cache of its own, so that the machine's own package sources are left alone.
type apt struct {
	dir  string
	opts []string
}

// openApt makes the configuration for the suites that these series need and reads their lists. mirror is a Debian archive; if it is
// empty, it is the one that this machine uses.
func openApt(ctx context.Context, dir, mirror string, series []string) (*apt, error) {
	if mirror == "" {
		var err error
		if mirror, err = machineMirror(ctx); err != nil {
			return nil, err
		}
	}
	var need []string
	for _, s := range series {
		list, ok := suites[s]
		if !ok {
			list = makingSuites
		}
		need = append(need, list...)
	}
	slices.Sort(need)
	var sources strings.Builder
	for _, suite := range slices.Compact(need) {
		fmt.Fprintf(&sources, "deb [signed-by=%s] %s %s main\n", keyring, mirror, suite)
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sources.String()), 0o644); err != nil {
		return nil, err
	}
	a := &apt{dir: dir}
	for _, o := range []string{
		"Dir::State=" + dir, "Dir::State::lists=" + dir + "/lists", "Dir::State::status=/dev/null", "Dir::Cache=" + dir + "/cache",
		"Dir::Etc::sourcelist=" + dir + "/sources.list", "Dir::Etc::sourceparts=/dev/null", "Dir::Etc::preferences=/dev/null",
		"Dir::Etc::preferencesparts=/dev/null", "APT::Architectures=amd64", "APT::Architecture=amd64", "APT::Sandbox::User=root",
		"Acquire::Languages=none", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false", "Acquire::Retries=3",
	} {
		a.opts = append(a.opts, "-o", o)
	}
	_, err := a.run(ctx, "apt-get", "-q", "update", "--error-on=any")
	return a, err
}

// machineMirror is the Debian archive that the machine's own package sources name.
func machineMirror(ctx context.Context) (string, error) {
	out, err := output(ctx, nil, "apt-get", "indextargets", "Created-By: Packages", "--format", "$(REPO_URI)")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if uri := strings.TrimSuffix(strings.TrimSpace(line), "/"); strings.HasSuffix(uri, "/debian") {
			return uri, nil
		}
	}
	return "", errors.New("find a Debian archive: this machine's package sources name none; give one with -mirror or the variable KERNEL_MIRROR")
}

func (a *apt) run(ctx context.Context, tool string, args ...string) ([]byte, error) {
	return output(ctx, nil, tool, append(slices.Clone(a.opts), args...)...)
}

// download fetches packages into the folder.
func (a *apt) download(ctx context.Context, dir string, packages ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append(append(slices.Clone(a.opts), "-q", "download"), packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("download %s: %w: %s", strings.Join(packages, ", "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// A kernel is one package, or from 6.19 on three: linux-binary-X, linux-modules-X and linux-base-X, which has the configuration. The
// cloud kernels lack drivers of real machines only, and are a third of the size.
var kernelPackage = regexp.MustCompile(`^linux-(image|binary)-(([0-9]+)\.([0-9]+)[^-]*(?:-[0-9]+)?-cloud-amd64)$`)

// newest answers the packages of the newest kernel of a series.
func (a *apt) newest(ctx context.Context, series string) ([]string, error) {
	out, err := a.run(ctx, "apt-cache", "pkgnames", "linux-")
	if err != nil {
		return nil, err
	}
	return newestKernel(strings.Fields(string(out)), series)
}

func newestKernel(names []string, series string) ([]string, error) {
	best, split := "", map[string]bool{}
	for _, name := range names {
		m := kernelPackage.FindStringSubmatch(name)
		if m == nil || (series != Newest && m[3]+"."+m[4] != series) {
			continue
		}
		split[m[2]] = split[m[2]] || m[1] == "binary"
		if best == "" || compareVersions(m[2], best) > 0 {
			best = m[2]
		}
	}
	if best == "" {
		return nil, fmt.Errorf("find Linux %s: no such package in the Debian archive's suites that were looked at", series)
	}
	if split[best] {
		return []string{"linux-binary-" + best, "linux-modules-" + best, "linux-base-" + best}, nil
	}
	return []string{"linux-image-" + best}, nil
}

var digits = regexp.MustCompile(`[0-9]+`)

// compareVersions compares the numbers in two names.
func compareVersions(a, b string) int {
	na, nb := digits.FindAllString(a, -1), digits.FindAllString(b, -1)
	return slices.CompareFunc(na, nb, func(x, y string) int {
		i, _ := strconv.Atoi(x)
		j, _ := strconv.Atoi(y)
		return i - j
	})
}

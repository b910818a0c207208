package kernel

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Config is how the running kernel was built, as far as it tells.
type Config struct {
	// Source is the file it was read from.
	Source string
	values map[string]string
}

// Value is the value of an option: "y", "m", a number or a string without quotes; "" when it is not set.
func (c *Config) Value(option string) string { return c.values[option] }

// On reports whether an option is built in or a module.
func (c *Config) On(option string) bool { v := c.values[option]; return v == "y" || v == "m" }

// KernelConfig reads the running kernel's build configuration, once. The error matches [os.ErrNotExist] on kernels that hide it.
func KernelConfig() (*Config, error) { return kernelConfig() }

var kernelConfig = sync.OnceValues(readConfig)

func readConfig() (*Config, error) {
	release, _ := Release()
	files := []string{
		"/proc/config.gz",
		"/boot/config-" + release,
		"/usr/lib/modules/" + release + "/config",
		"/lib/modules/" + release + "/config",
		"/lib/modules/" + release + "/build/.config",
	}
	for _, file := range files {
		c, err := readConfigFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		return c, err
	}
	return nil, fmt.Errorf("the kernel's build configuration: %w (looked for %s)", os.ErrNotExist, strings.Join(files, ", "))
}

func readConfigFile(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the kernel's build configuration: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		r = z
	}
	values, err := parseConfig(io.LimitReader(r, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &Config{Source: file, values: values}, nil
}

func parseConfig(r io.Reader) (map[string]string, error) {
	values := map[string]string{}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		if !strings.HasPrefix(line, "CONFIG_") {
			continue
		}
		if name, value, ok := strings.Cut(line, "="); ok {
			values[name] = strings.Trim(value, `"`)
		}
	}
	return values, s.Err()
}

package examples_test

import (
	"os"
	"strconv"
	"testing"
)

// setupRunqlat lets this process start others, for which its threads are woken.
// The histogram is drawn when the test stops the plugin.
func setupRunqlat(t *testing.T) row {
	return row{
		args:  []string{"--pid", strconv.Itoa(os.Getpid())},
		cause: func() { busy(t) },
	}
}

// setupRunqlatCount lets the plugin end by itself, after one interval.
func setupRunqlatCount(t *testing.T) row {
	return row{args: []string{"1", "1"}, ends: true, cause: func() { busy(t) }}
}

// busy starts processes and waits for each of them.
func busy(t *testing.T) {
	t.Helper()
	for range 10 {
		start(t, ":")
	}
}

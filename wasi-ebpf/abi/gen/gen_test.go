package main

import (
	"os"
	"path/filepath"
	"testing"
)

const root = "../../.."

func TestCommittedFilesAreWhatTheGeneratorWrites(t *testing.T) {
	for _, o := range outputs() {
		got, err := os.ReadFile(filepath.Join(root, o.path))
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := o.render(string(got))
		if err != nil {
			t.Errorf("%s: %v", o.path, err)
		}
		if string(got) != want {
			t.Errorf("%s differs from the contract in wasi-ebpf/abi: run make generate", o.path)
		}
	}
}

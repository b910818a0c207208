package bpf

import (
	"testing"

	"github.com/bowline-edge/bowline/internal/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

# bowline. `make demo` shows it at work, `make test` proves it. Both set up what is missing.

# Looked for when it is used, because setup may have installed it.
GO       = $(shell ./.ci/go)
SUDO    := $(if $(filter 0,$(shell id -u)),,sudo -E)
# Tests that load BPF need root: only the test binaries run under sudo.
EXEC    := $(if $(SUDO),-exec "$(SUDO)",)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.release=$(VERSION)

.PHONY: help setup build demo test test-kernels kernel-table bench guests generate check-wit lint fuzz clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install what is missing: a Go toolchain and a C compiler
	@./.ci/setup

build: setup ## build bin/bowline, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/bowline ./cmd/bowline

demo: build ## run execsnoop for ten seconds on this machine's real events
	@$(SUDO) ./examples/demo.sh bin/bowline

# Kernel tests depend on more than their sources, so nothing comes from Go's test cache.
test: setup ## pass all tests, those of guests on both engines
	$(GO) test -count=1 $(EXEC) ./...
	$(GO) test -count=1 $(EXEC) -tags wasmtime ./runtime/engine/wasmtime ./runtime ./hostfuncs/... ./wasi-ebpf/... ./examples ./node ./cmd/bowline

KERNEL_TESTS = GO=$(GO) $(GO) run ./internal/vmtest/testkernels
test-kernels: ## run the kernel tests on Debian's kernels in QEMU (KERNELS="6.1 newest", RESULTS=x.json)
	@./.ci/setup kernels
	$(KERNEL_TESTS) $(if $(KERNELS),-kernels "$(KERNELS)") $(if $(RESULTS),-json $(RESULTS))

kernel-table: ## the same and on this kernel, and write docs/kernels.md
	@./.ci/setup kernels
	$(KERNEL_TESTS) -kernels "local $(or $(KERNELS),5.10 6.1 6.12 newest)" -table docs/kernels.md

bench: build ## measure, beside native programs in Go and C on the same BPF objects (installs libbpf-dev)
	@./.ci/setup bench
	$(GO) build -tags wasmtime -o bin/bench ./bench
	$(GO) build -o bin/bench-native ./bench/native
	gcc -O2 -Wall -o bin/bench-libbpf bench/libbpf/main.c -lbpf
	$(SUDO) bin/bench

guests: ## rebuild all .wasm and .bpf.o files bit for bit (installs clang-14)
	@./.ci/setup guests
	$(MAKE) -B -f guests.mk guest-tools guests

generate: setup ## write the C header, the WIT package and the tables of the specification from wasi-ebpf/abi
	$(GO) run ./wasi-ebpf/abi/gen

check-wit: ## parse the WIT package with jco (installs nodejs and npm)
	@./.ci/setup wit
	@./.ci/check-wit

lint: setup ## gofmt, go vet for every platform, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags wasmtime ./...
	for p in arm64 arm riscv64; do GOARCH=$$p GOARM=7 CGO_ENABLED=0 $(GO) vet ./cmd/... ./runtime/... ./hostfuncs/... ./bpf/... || exit 1; done
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fuzz: setup ## fuzz every decoder, FUZZTIME each (30s)
	@./.ci/fuzz $(or $(FUZZTIME),30s)

clean: ## remove what was built
	rm -rf bin

# Rules that build everything that runs inside the kernel or a guest. Outputs are committed; `make guests` rebuilds them bit for bit
# with the tool versions named here (Debian 12 has them; other versions give other bytes, which work as well).
#
#   make -f guests.mk guests          rebuild what is older than its sources
#   make -B -f guests.mk guests       rebuild all
#   make -f guests.mk check-guests    rebuild all and fail if a committed output changes
#   make -f guests.mk guest-tools     say which tools are here, and warn if they are not the named versions
CLANG      ?= clang-14
STRIP      ?= llvm-strip-14
WAT2WASM   ?= wat2wasm
GUEST_TOOLS := clang 14.0.6, wasm-ld 14.0.6, llvm-strip 14.0.6, wasi-libc 0.0~git20220510, libbpf-dev 1.1.2, wat2wasm 1.0.32

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -Wall -Werror -D__TARGET_ARCH_x86 \
	-fdebug-compilation-dir=. -ffile-prefix-map=$(CURDIR)=. -I bpf/headers \
	-idirafter /usr/include/$(shell $(CC) -dumpmachine)

# Guests are compiled in their own directory, where BPF_EMBED finds the object.
WASM_CFLAGS := --target=wasm32-wasi -std=gnu11 -Oz -Wall -Wextra -Werror -ffile-prefix-map=$(CURDIR)=. \
	-I $(CURDIR)/wasi-ebpf/sdk/c
WASM_LDFLAGS := -Wl,--strip-all -Wl,--export-table -Wl,--gc-sections -Wl,-z,stack-size=32768

EXAMPLES := $(patsubst examples/%.bpf.c,examples/%,$(wildcard examples/*/*.bpf.c))
# Makes its BPF program itself.
FILTER   := examples/filter/filter.wasm
# Plugins of the older interface, which their tests run beside those of the newer.
OLDER    := $(patsubst %.c,%,$(wildcard examples/testdata/*.c))
BENCHES  := $(patsubst %.c,%,$(filter-out %.bpf.c,$(wildcard bench/guests/*.c)))
KERNELS  := runtime/preempt/testdata/kernels.wasm $(patsubst %.c,%.wasm,$(wildcard bench/guests/cpu/*.c))
# Every other .bpf.c and .wat of the repository is a test's.
SOURCES  := $(shell find . -name .git -prune -o \( -name '*.bpf.c' -o -name '*.wat' \) -printf '%P\n')
# Imports every function of module wasi_ebpf, through the C header.
IMPORTS  := wasi-ebpf/abi/gen/testdata/imports.wasm
# Calls every function of the comfortable layer.
COMFORT  := wasi-ebpf/sdk/c/testdata/comfort.wasm
# Plugins that try to do harm, and the one that must not notice.
HOSTILE  := $(patsubst %.c,%.wasm,$(filter-out %.bpf.c,$(wildcard node/testdata/*.c)))
GUESTS   := $(sort $(EXAMPLES:%=%.wasm) $(BENCHES:%=%.wasm) $(KERNELS) $(IMPORTS) $(COMFORT) $(HOSTILE) $(OLDER:%=%.wasm) $(FILTER) \
	$(patsubst %.bpf.c,%.bpf.o,$(filter %.bpf.c,$(SOURCES))) $(patsubst %.wat,%.wasm,$(filter %.wat,$(SOURCES))))

.PHONY: guests check-guests guest-tools
guests: $(GUESTS)

%.bpf.o: %.bpf.c bpf/headers/vmlinux.h
	$(CLANG) $(BPF_CFLAGS) -c $< -o $@
	$(STRIP) -g $@

%.wasm: %.wat
	$(WAT2WASM) $(WAT_FLAGS) $< -o $@

# These two need a name section.
runtime/preempt/testdata/names.wasm internal/wasmfile/testdata/all.wasm: WAT_FLAGS := --debug-names

$(KERNELS): %.wasm: %.c
	$(CLANG) --target=wasm32 -O2 -nostdlib -ffreestanding -fno-builtin -Wl,--no-entry -Wl,--strip-all $< -o $@ && chmod 644 $@

$(IMPORTS): %.wasm: %.c wasi-ebpf/sdk/c/wasi_ebpf/abi.h
	$(CLANG) --target=wasm32 -std=c99 -Oz -Wall -Wextra -Werror -nostdlib -ffreestanding -I wasi-ebpf/sdk/c \
		-Wl,--no-entry -Wl,--strip-all $< -o $@ && chmod 644 $@

$(COMFORT): %.wasm: %.c %.bpf.o $(wildcard wasi-ebpf/sdk/c/wasi_ebpf/*.h)
	cd $(@D) && $(CLANG) $(WASM_CFLAGS) $(WASM_LDFLAGS) $(<F) -o $(@F) && chmod 644 $(@F)

$(EXAMPLES:%=%.bpf.o): %.bpf.o: %.h

# The manifest is in the plugin, by BPF_MANIFEST.
$(foreach e,$(EXAMPLES:%=%.wasm) $(FILTER),$(eval $(e): $(wildcard $(dir $(e))manifest.yaml)))

$(EXAMPLES:%=%.wasm): %.wasm: %.c %.h %.bpf.o examples/plugin.h $(wildcard wasi-ebpf/sdk/c/wasi_ebpf/*.h)
	cd $(@D) && $(CLANG) $(WASM_CFLAGS) $(WASM_LDFLAGS) $(<F) -o $(@F) && chmod 644 $(@F)

$(FILTER): %.wasm: %.c %.h examples/plugin.h $(wildcard wasi-ebpf/sdk/c/wasi_ebpf/*.h)
	cd $(@D) && $(CLANG) $(WASM_CFLAGS) $(WASM_LDFLAGS) $(<F) -o $(@F) && chmod 644 $(@F)

# They use the records and the objects of the newer ones.
$(OLDER:%=%.wasm): %.wasm: %.c $(EXAMPLES:%=%.h) $(EXAMPLES:%=%.bpf.o) examples/plugin.h wasi-ebpf/sdk/c/wasm_bpf.h
	cd $(@D) && $(CLANG) $(WASM_CFLAGS) $(WASM_LDFLAGS) $(<F) -o $(@F) && chmod 644 $(@F)

$(BENCHES:%=%.wasm): %.wasm: %.c $(patsubst %.c,%.o,$(wildcard bench/guests/*.bpf.c)) wasi-ebpf/sdk/c/wasm_bpf.h $(wildcard wasi-ebpf/sdk/c/wasi_ebpf/*.h)
	cd $(@D) && $(CLANG) $(WASM_CFLAGS) $(WASM_LDFLAGS) $(<F) -o $(@F) && chmod 644 $(@F)

$(HOSTILE): %.wasm: %.c node/testdata/witness.h $(patsubst %.c,%.o,$(wildcard node/testdata/*.bpf.c)) wasi-ebpf/sdk/c/wasm_bpf.h $(wildcard wasi-ebpf/sdk/c/wasi_ebpf/*.h)
	cd $(@D) && $(CLANG) $(WASM_CFLAGS) $(WASM_LDFLAGS) $(<F) -o $(@F) && chmod 644 $(@F)

# Compares with what is on disk now, not with git: it works in a dirty tree, too.
check-guests: guest-tools
	@before=$$(sha256sum $(GUESTS)) && $(MAKE) -B -f guests.mk guests >/dev/null && after=$$(sha256sum $(GUESTS)) && \
	if [ "$$before" != "$$after" ]; then echo 'these guests differ from their sources (they are rebuilt now):' >&2; \
		printf '%s\n%s\n' "$$before" "$$after" | sort | uniq -u | awk '{print "  " $$2}' | sort -u >&2; exit 1; fi

guest-tools:
	@have="$$($(CLANG) --version | head -n 1), $$($(WAT2WASM) --version)"; \
	case "$$have" in *'version 14.0.6,'*' 1.0.32'|*'version 14.0.6, 1.0.32') ;; \
	*) echo "warning: guests are built bit for bit with $(GUEST_TOOLS); here: $$have" >&2;; esac

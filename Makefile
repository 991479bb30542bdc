# facet: build, test, bench. `make help` lists the targets.
# Non-recursive: every lib/*/*.c goes into one archive, every stages/NAME.c
# (or stages/NAME/*.c) becomes build/stages/NAME, cli/*.c become build/facet,
# every tests/test_*.c a test program. Adding a file needs no change here.

B       ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=
# Where `make install` puts programs, stages and what they read. They look for
# libexec/facet and share/facet beside their own bin, then, where these three
# are set, there.
bindir     ?= $(PREFIX)/bin
libexecdir ?= $(PREFIX)/libexec
datadir    ?= $(PREFIX)/share
PYTHON  ?= /usr/bin/python3
# Our own loops in lib/nn and oneDNN's use one pool of threads. With GCC that
# is libgomp, which Debian's oneDNN is linked to. With Clang it is libomp: it
# has libgomp's functions as well, and as every program that runs networks
# needs it directly, the loader finds it before the libgomp that only oneDNN
# needs (tests/test_nn_threads.c counts the threads).
OPENMP  ?= -fopenmp
# DNNL=0 builds without oneDNN (in a B of its own): all networks then run on
# OpenBLAS and our own loops.
DNNL    ?= 1
V       ?= 0
# Warnings are errors in CI only (make WERROR=1).
WERROR  ?= 0
SAN     ?=

# The version line, if the compiler is Clang.
CLANG := $(shell $(CC) --version 2>/dev/null | grep -i clang)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion \
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
  -Wwrite-strings -Wundef -Wformat=2 -Wcast-qual -Wimplicit-fallthrough
# Texts are cut at a cap on purpose; that is no fault. (Clang up to 17 does not
# know the option.)
WARN += $(if $(CLANG),,-Wno-format-truncation)
# With sanitizers Clang cannot turn some loops into SIMD, and says so of each.
WARN += $(if $(CLANG),$(if $(SAN),-Wno-pass-failed))
ifeq ($(WERROR),1)
WARN += -Werror
endif
OPT    ?= -O2 -g
# Nothing is fused, so that CPUs with and without multiply-add instructions give
# the same bits; GCC does so by -std=c11 alone.
CFLAGS_ALL := -std=c11 -ffp-contract=off $(WARN) -fno-common $(OPT) $(SAN) -I. \
  -D_GNU_SOURCE -DFACET_DNNL=$(DNNL) $(OPENMP) $(PKG_CFLAGS) -MMD -MP \
  $(CPPFLAGS) $(CFLAGS)
# -lm etc. after the archive; --as-needed keeps each program to what it uses.
# msgpack-c's C library is called msgpack in Debian 12, msgpack-c later.
MSGPACK := $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
PKGS := libzmq libavformat libavcodec libswscale libavutil libpng yaml-0.1 \
  libjpeg libwebp libwebpdemux libheif libzip $(MSGPACK) libxxhash openblas
# Also OpenBLAS's own cblas.h where the alternatives choose the reference one.
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS := -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) \
  $(if $(filter 0,$(DNNL)),,-ldnnl) $(OPENMP) -lm -lpthread
# All programs are linked by this and what they consist of.
LINK = $(CC) $(OPT) $(SAN) $(CFLAGS) -o

LIB_SRC   := $(sort $(wildcard lib/*/*.c))
CLI_SRC   := $(sort $(wildcard cli/*.c))
STAGE_ONE := $(sort $(wildcard stages/*.c))
STAGE_DIR := $(sort $(patsubst %/,%,$(dir $(wildcard stages/*/*.c))))
STAGES    := $(patsubst stages/%.c,$B/stages/%,$(STAGE_ONE)) \
  $(patsubst stages/%,$B/stages/%,$(STAGE_DIR))
TEST_SRC  := $(sort $(wildcard tests/test_*.c))
TESTS     := $(patsubst tests/%.c,$B/tests/%,$(TEST_SRC))
TSTAGE_SRC := $(sort $(wildcard tests/stages/*.c))
TSTAGES   := $(patsubst tests/stages/%.c,$B/tests/stages/%,$(TSTAGE_SRC))
TTOOLS    := $(patsubst %.c,$B/%,$(sort $(wildcard tests/tools/*.c)))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZERS   := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(FUZZ_SRC))
BENCH_SRC := $(sort $(wildcard bench/*.c))
BENCHES   := $(patsubst bench/%.c,$B/bench/%,$(BENCH_SRC))
LIB       := $B/libfacet.a

# Folders of one's own are compiled in; the stamp changes where they do.
ifneq ($(bindir):$(libexecdir):$(datadir),$(PREFIX)/bin:$(PREFIX)/libexec:$(PREFIX)/share)
DIRS := -DFACET_LIBEXECDIR='"$(libexecdir)/facet"' -DFACET_DATADIR='"$(datadir)/facet"'
endif
CFLAGS_lib_flow_dirs := $(DIRS)
CFLAGS_lib_base_lookup := $(DIRS)
ifneq ($(DIRS)$(wildcard $B/dirs),)
$(shell mkdir -p '$B'; echo "$(DIRS)" | cmp -s - '$B/dirs' || echo "$(DIRS)" > '$B/dirs')
$B/obj/lib/flow/dirs.o $B/obj/lib/base/lookup.o: $B/dirs
endif

obj = $(patsubst %.c,$B/obj/%.o,$(1))
# Square roots as instructions, so that loops with them become SIMD.
CFLAGS_lib_nn_optim_step := -fno-math-errno
Q := $(if $(filter 1,$V),,@)
say = $(if $(filter 1,$V),,@printf '  %-5s %s\n' $(1) $(2))

.DEFAULT_GOAL := all
.SECONDARY:
.PHONY: all
all: deps-check $B/facet $(STAGES) ## build everything into build/

$B/obj/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_$(subst /,_,$(basename $<))) -c $< -o $@

$(LIB): $(call obj,$(LIB_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$B/facet: $(call obj,$(CLI_SRC)) $(LIB)
	$(call say,LD,$@)
	$(Q)$(LINK) $@ -rdynamic $(call obj,$(CLI_SRC)) $(LIB) $(LDFLAGS) $(LIBS)

$(patsubst stages/%.c,$B/stages/%,$(STAGE_ONE)): $B/stages/%: $B/obj/stages/%.o $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $@ $< $(LIB) $(LDFLAGS) $(LIBS)

define stage_dir_rule
$B/stages/$(1): $(call obj,$(sort $(wildcard stages/$(1)/*.c))) $(LIB)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$(Q)$(LINK) $$@ $$(filter %.o,$$^) $(LIB) $(LDFLAGS) $(LIBS)
endef
$(foreach d,$(notdir $(STAGE_DIR)),$(eval $(call stage_dir_rule,$(d))))

# Test programs are linked with what they use of tests/support.
SUPPORT := $B/libsupport.a
$(SUPPORT): $(call obj,$(sort $(wildcard tests/support/*.c)))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$B/tests/%: $B/obj/tests/%.o $(SUPPORT) $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $@ $< $(SUPPORT) $(LIB) $(LDFLAGS) $(LIBS) -lcmocka

# Stages that only tests use.
$B/tests/stages/%: $B/obj/tests/stages/%.o $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $@ $< $(LIB) $(LDFLAGS) $(LIBS)

# Tools of the tests: nothing of ours is in them.
$B/tests/tools/%: $B/obj/tests/tools/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(SAN) -o $@ $< $(LDFLAGS)

FUZZ_DRIVER ?= $B/obj/tests/fuzz/driver.o
$B/fuzz/%: $B/obj/tests/fuzz/%.o $(FUZZ_DRIVER) $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $@ $(filter %.o,$^) $(LIB) $(LDFLAGS) $(LIBS)

$B/bench/%: $B/obj/bench/%.o $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $@ $< $(LIB) $(LDFLAGS) $(LIBS)

.PHONY: tests fuzzers benches
fuzzers: $(FUZZERS) ## build the fuzz targets
tests: all $(TESTS) $(TSTAGES) $(TTOOLS) $(FUZZERS) ## build all that the tests run
benches: all $(BENCHES) ## build the benchmarks' programs

DEPS = DNNL=$(DNNL) CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' B='$B' \
  PYTHON='$(PYTHON)' scripts/deps.sh
# Patterns, in which $ is no variable of make's.
PATTERNS = ONLY='$(value ONLY)' SKIP='$(value SKIP)'
# What the tests chosen by ONLY and SKIP need; without ONLY, all is made.
NEEDS = $(PATTERNS) BUILD='$B' scripts/needs.sh
.PHONY: deps deps-test deps-check
deps: ## install the Debian/Ubuntu packages that the build needs
	$(Q)$(DEPS) build
deps-test: ## install those that the tests and benchmarks need as well
	$(Q)$(DEPS) $(if $(ONLY),only $$($(NEEDS) packages),test)
deps-check: ## name what the build lacks
	$(Q)$(DEPS) check

.PHONY: check
check: deps-test ## install what is missing, build, run the short tests (ONLY=, SKIP=: a pattern)
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) tests-chosen
	$(Q)$(MAKE) --no-print-directory check-built
.PHONY: tests-chosen
tests-chosen: $(if $(ONLY),$(TTOOLS),tests)
	$(if $(ONLY),$(Q)$(MAKE) --no-print-directory deps-check $$($(NEEDS) goals))
.PHONY: check-built
check-built: tests-chosen ## the same, with what is installed
	$(Q)$(PATTERNS) BUILD=$B CC='$(CC)' PYTHON='$(PYTHON)' tests/run.sh

.PHONY: demo
demo: deps ## install what is missing, build, render heads, make pairs and views
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) all
	$(Q)BUILD=$B scripts/demo.sh

.PHONY: asan tsan
asan: ## the tests under address and undefined sanitizers, in build-asan/
	$(Q)LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	  $(MAKE) --no-print-directory B=build-asan OPT="-O1 -g" \
	  SAN="-fsanitize=address,undefined -fno-omit-frame-pointer" check-built
# libgomp is not built for this sanitizer: what runs networks is left out.
tsan: export SKIP := test_nn|test_fan|landmark|checkpoint|70-pipelines|47-install|43-python
tsan: export TSAN_OPTIONS := suppressions=$(CURDIR)/tests/tsan.supp $(TSAN_OPTIONS)
tsan: ## the tests under the thread sanitizer, in build-tsan/
	$(Q)$(MAKE) --no-print-directory B=build-tsan OPT="-O1 -g" \
	  SAN="-fsanitize=thread" check-built

FUZZ_SECONDS ?= 60
FUZZ_CC ?= clang
.PHONY: fuzz deps-fuzz
deps-fuzz: ## install what `make fuzz` needs
	$(Q)CC='$(FUZZ_CC)' DNNL=$(DNNL) B='$B' scripts/deps.sh fuzz
fuzz: deps-fuzz ## libFuzzer (FUZZ_CC) on every target, FUZZ_SECONDS (or FUZZ_RUNS) each, in build-fuzz/
	$(Q)$(MAKE) --no-print-directory B=build-fuzz CC='$(FUZZ_CC)' \
	  OPT="-O1 -g" SAN="-fsanitize=address,undefined,fuzzer-no-link" \
	  LDFLAGS="-fsanitize=fuzzer" FUZZ_DRIVER= fuzzers
	$(Q)BUILD=build-fuzz FUZZ_SECONDS='$(FUZZ_SECONDS)' \
	  FUZZ_RUNS='$(FUZZ_RUNS)' tests/fuzz/run.sh

.PHONY: bench-preprocess
bench-preprocess: ## preprocessing and landmarks against OpenCV + PyTorch
	$(Q)$(MAKE) --no-print-directory benches
	$(Q)BUILD=$B PYTHON=$(PYTHON) bench/preprocess.sh

.PHONY: bench-nn
bench-nn: ## networks against PyTorch: inference, training, memory
	$(Q)$(MAKE) --no-print-directory benches
	$(Q)BUILD=$B $(PYTHON) bench/nn.py

.PHONY: bench-faces
bench-faces: ## faces a second: detection, landmarks, lifting, against PyTorch
	$(Q)$(MAKE) --no-print-directory benches
	$(Q)BUILD=$B PYTHON=$(PYTHON) bench/faces.sh

.PHONY: bench-views
bench-views: all ## generated views of rendered heads against their true pictures
	$(Q)$(PYTHON) bench/views_truth.py $B
	$(Q)$(PYTHON) bench/views_truth.py $B --source 0,45 --rx 0 --ry=-45,-20,0,25,45

.PHONY: long
long: tests ## longer tests: frames against the ffmpeg tool, a runner killed at random
	$(Q)for t in tests/long/*.sh; do echo "== $$t"; \
	  BUILD=$B PYTHON=$(PYTHON) sh $$t || exit 1; done

.PHONY: format
format: ## clang-format all C files in place
	$(Q)clang-format -i $(sort $(wildcard lib/*/*.[ch] cli/*.[ch] stages/*.[ch] \
	  stages/*/*.[ch] tests/*.[ch] tests/*/*.[ch] bench/*.[ch]))

# Where $(PYTHON) looks for packages, on Debian; empty: facet.py is not put there.
PYDIR ?= $(shell $(PYTHON) -c 'import sys; print("$(PREFIX)/lib/python%s/dist-packages" \
  % ("3" if "$(PREFIX)" == "/usr" else "%d.%d" % sys.version_info[:2]))' 2>/dev/null)
# install's folders, quoted: there may be blanks in them.
BIN   = "$(DESTDIR)$(bindir)"
EXEC  = "$(DESTDIR)$(libexecdir)/facet"
SHARE = "$(DESTDIR)$(datadir)/facet"
.PHONY: install
install: all ## install into PREFIX (with DESTDIR; bindir, libexecdir, datadir)
	install -d $(BIN) $(EXEC) $(SHARE)/models $(SHARE)/pipelines $(SHARE)/examples $(SHARE)/python
	install -m 755 $B/facet $(BIN)
	install -m 755 $(STAGES) $(EXEC)
	install -m 644 $(wildcard models/*.safetensors models/*.md) $(SHARE)/models
	install -m 644 $(wildcard pipelines/*.yaml) $(SHARE)/pipelines
	install -m 644 $(wildcard examples/*.yaml) $(SHARE)/examples
	install -m 755 $(wildcard examples/*.py) $(SHARE)/examples
	install -m 644 python/facet.py $(SHARE)/python
	[ -z "$(PYDIR)" ] || { install -d "$(DESTDIR)$(PYDIR)" && \
	  ln -sf "$(datadir)/facet/python/facet.py" "$(DESTDIR)$(PYDIR)/facet.py"; }

.PHONY: clean
clean: ## remove build folders
	rm -rf $B build-asan build-tsan build-fuzz

.PHONY: help
help: ## this list
	@grep -hE '^[a-z -]+:.*## ' Makefile | sort | \
	  awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

-include $(shell find $B/obj -name '*.d' 2>/dev/null)

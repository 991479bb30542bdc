# facet: build, test, bench. `make help` lists the targets.
# Non-recursive: every lib/*/*.c goes into one archive, every stages/NAME.c
# (or stages/NAME/*.c) becomes build/stages/NAME, cli/*.c become build/facet,
# every tests/test_*.c a test program. Adding a file needs no change here.

B       ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
DESTDIR ?=
PYTHON  ?= /usr/bin/python3
# libgomp runs oneDNN's threads; our own loops in lib/nn use the same pool.
OPENMP  ?= -fopenmp
# DNNL=0 builds without oneDNN (in a B of its own): all networks then run on
# OpenBLAS and our own loops.
DNNL    ?= 1
V       ?= 0
# Warnings are errors in CI only (make WERROR=1).
WERROR  ?= 0
SAN     ?=

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion \
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
  -Wwrite-strings -Wundef -Wformat=2 -Wcast-qual -Wimplicit-fallthrough
# Texts are cut at a cap on purpose; that is no fault.
WARN += -Wno-format-truncation
ifeq ($(WERROR),1)
WARN += -Werror
endif
OPT    ?= -O2 -g
CFLAGS_ALL := -std=c11 $(WARN) -fno-common $(OPT) $(SAN) -I. \
  -D_GNU_SOURCE -DFACET_DNNL=$(DNNL) $(OPENMP) $(BLAS_CFLAGS) -MMD -MP $(CFLAGS)
# -lm etc. after the archive; --as-needed keeps each program to what it uses.
PKGS := libzmq libavformat libavcodec libswscale libavutil libpng yaml-0.1 \
  libjpeg libzip openblas
# OpenBLAS's own cblas.h, also where the alternatives choose the reference one.
BLAS_CFLAGS := $(shell pkg-config --cflags openblas 2>/dev/null)
LIBS := -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) \
  -lmsgpackc $(if $(filter 0,$(DNNL)),,-ldnnl) -lopenblas -lxxhash $(OPENMP) -lm -lpthread

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
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZERS   := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(FUZZ_SRC))
BENCH_SRC := $(sort $(wildcard bench/*.c))
BENCHES   := $(patsubst bench/%.c,$B/bench/%,$(BENCH_SRC))
LIB       := $B/libfacet.a

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
	$(Q)$(CC) $(OPT) $(SAN) -rdynamic -o $@ $(call obj,$(CLI_SRC)) $(LIB) $(LDFLAGS) $(LIBS)

$(patsubst stages/%.c,$B/stages/%,$(STAGE_ONE)): $B/stages/%: $B/obj/stages/%.o $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(SAN) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS)

define stage_dir_rule
$B/stages/$(1): $(call obj,$(sort $(wildcard stages/$(1)/*.c))) $(LIB)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(OPT) $(SAN) -o $$@ $$(filter %.o,$$^) $(LIB) $(LDFLAGS) $(LIBS)
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
	$(Q)$(CC) $(OPT) $(SAN) -o $@ $< $(SUPPORT) $(LIB) $(LDFLAGS) $(LIBS) -lcmocka

# Stages that only tests use.
$B/tests/stages/%: $B/obj/tests/stages/%.o $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(SAN) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS)

FUZZ_DRIVER ?= $B/obj/tests/fuzz/driver.o
$B/fuzz/%: $B/obj/tests/fuzz/%.o $(FUZZ_DRIVER) $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(SAN) -o $@ $(filter %.o,$^) $(LIB) $(LDFLAGS) $(LIBS)

$B/bench/%: $B/obj/bench/%.o $(LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPT) $(SAN) -o $@ $< $(LIB) $(LDFLAGS) $(LIBS)

.PHONY: tests fuzzers benches
fuzzers: $(FUZZERS)
tests: all $(TESTS) $(TSTAGES) $(FUZZERS)
benches: all $(BENCHES)

.PHONY: deps deps-test deps-check
deps: ## install the Debian/Ubuntu packages that the build needs
	$(Q)DNNL=$(DNNL) scripts/deps.sh build
deps-test: ## install those that the tests and benchmarks need as well
	$(Q)DNNL=$(DNNL) scripts/deps.sh test
deps-check:
	$(Q)DNNL=$(DNNL) scripts/deps.sh check

.PHONY: check
check: deps-test ## install what is missing, build, run the short tests
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) tests
	$(Q)$(MAKE) --no-print-directory check-built
.PHONY: check-built
check-built: tests
	$(Q)BUILD=$B PYTHON=$(PYTHON) tests/run.sh

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
.PHONY: fuzz
fuzz: ## libFuzzer (clang) on every target, FUZZ_SECONDS each, in build-fuzz/
	$(Q)$(MAKE) --no-print-directory B=build-fuzz CC=clang OPENMP= \
	  OPT="-O1 -g" SAN="-fsanitize=address,undefined,fuzzer-no-link" \
	  LDFLAGS="-fsanitize=fuzzer" FUZZ_DRIVER= fuzzers
	$(Q)BUILD=build-fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/run.sh

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
.PHONY: install
install: all ## install into PREFIX (with DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/facet \
	  $(DESTDIR)$(PREFIX)/share/facet/models $(DESTDIR)$(PREFIX)/share/facet/pipelines \
	  $(DESTDIR)$(PREFIX)/share/facet/examples $(DESTDIR)$(PREFIX)/share/facet/python
	install -m 644 python/facet.py $(DESTDIR)$(PREFIX)/share/facet/python
	[ -z "$(PYDIR)" ] || { install -d "$(DESTDIR)$(PYDIR)" && \
	  ln -sf $(PREFIX)/share/facet/python/facet.py "$(DESTDIR)$(PYDIR)/facet.py"; }
	install -m 755 $B/facet $(DESTDIR)$(PREFIX)/bin/facet
	install -m 755 $(STAGES) $(DESTDIR)$(PREFIX)/libexec/facet
	install -m 644 $(wildcard models/*.safetensors models/*.md) $(DESTDIR)$(PREFIX)/share/facet/models
	install -m 644 $(wildcard pipelines/*.yaml) $(DESTDIR)$(PREFIX)/share/facet/pipelines
	install -m 644 $(wildcard examples/*.yaml) $(DESTDIR)$(PREFIX)/share/facet/examples
	install -m 755 $(wildcard examples/*.py) $(DESTDIR)$(PREFIX)/share/facet/examples

.PHONY: clean
clean: ## remove build folders
	rm -rf $B build-asan build-tsan build-fuzz

.PHONY: help
help: ## this list
	@grep -hE '^[a-z -]+:.*## ' $(MAKEFILE_LIST) | sort | \
	  awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

-include $(shell find $B/obj -name '*.d' 2>/dev/null)

# SPDX-License-Identifier: Apache-2.0
#
# Only a front: Meson builds, ./out is an installed copy that everything runs.
# `make help` lists what there is.

BUILD ?= build
OUT ?= $(CURDIR)/out
ASAN_BUILD ?= build-asan
ASAN_OUT ?= $(CURDIR)/out-asan
PREFIX ?= /usr/local
MESON ?= meson
NINJA ?= ninja
MINUTES ?= 10
ROUNDS ?= 200
SANDBOXES ?= 100
SCALE ?= 100
BENCH_ARGS ?=
MESON_ARGS ?=
PYTEST_ARGS ?=

# A python3 earlier in PATH may lack pytest; the system's is what bootstrap provides for.
PYTHON ?= $(shell if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else echo python3; fi)
XDIST = $(shell $(PYTHON) -c 'import xdist' 2>/dev/null && echo '-n2')
PYTEST = PURPLE=$(OUT)/bin/purple PURPLE_BUILD=$(BUILD) $(REROOT) $(PYTHON) -m pytest $(PYTEST_ARGS)
REROOT = $(BUILD)/tools/reroot
export LC_ALL ?= C.UTF-8

.PHONY: all help bootstrap demo check check-asan check-long escape fuzz bench lint format install dist deb clean
.NOTPARALLEL:

all: configured
	@$(NINJA) -C $(BUILD) || { $(BUILD_FAILED); }
	@$(MESON) install -C $(BUILD) --no-rebuild --only-changed --quiet >/dev/null

help:
	@echo 'make             build, and install to ./out'
	@echo 'make demo        install what is missing, build, run the demo'
	@echo 'make check       install what is missing, build, run every test'
	@echo 'make check-asan  the same tests on a build with ASan and UBSan'
	@echo 'make check-long  the same with sanitizers, fuzzing and fault injection (an hour)'
	@echo 'make escape      only the escape tests'
	@echo 'make fuzz        every fuzzer for MINUTES=$(MINUTES) (needs clang)'
	@echo 'make bench       start-up, memory and call costs beside the floor, bubblewrap and crun;'
	@echo '                 SCALE=$(SCALE) sandboxes alive at once'
	@echo 'make lint        formatting and static analysis'
	@echo 'make install     to PREFIX=$(PREFIX); any directory will do, as any user'
	@echo 'make dist        a tarball of the commit, in $(BUILD)'
	@echo 'make deb         a Debian package of the commit, in $(BUILD)'
	@echo 'make clean       remove what was built'

# Meson says at length what it misses, and not how to get it.
SETUP_FAILED = cat $(BUILD).log >&2; echo 'make: if a library or a program is missing, run: make bootstrap' >&2; exit 1

# An update may need a library that was not needed when the directory was set up.
BUILD_FAILED = $(NINJA) -C $(BUILD) build.ninja >/dev/null 2>&1 || \
	echo 'make: if a library or a program is missing, run: make bootstrap' >&2; exit 1

# The build directory, also when the tree was moved or came from another place.
.PHONY: configured
configured:
	@command -v $(MESON) >/dev/null || { echo 'make: meson is missing; run: make bootstrap' >&2; exit 1; }
	@if [ ! -e $(BUILD)/build.ninja ]; then \
		$(MESON) setup $(BUILD) --prefix=$(OUT) $(MESON_ARGS) >$(BUILD).log 2>&1 || { $(SETUP_FAILED); }; \
		mv $(BUILD).log $(BUILD)/setup.log; \
	elif ! grep -qsF '"source": "$(CURDIR)"' $(BUILD)/meson-info/meson-info.json; then \
		$(MESON) setup --wipe $(BUILD) --prefix=$(OUT) $(MESON_ARGS) >$(BUILD).log 2>&1 || { $(SETUP_FAILED); }; \
		mv $(BUILD).log $(BUILD)/setup.log; \
	fi

bootstrap:
	@tools/bootstrap build demo test

demo:
	@tools/bootstrap build demo
	@$(MAKE) --no-print-directory all
	@$(REROOT) examples/demo/demo

check:
	@tools/bootstrap build test
	@# A build that was set up before cmocka was there has no unit tests.
	@if [ -e $(BUILD)/build.ninja ] && ! grep -qs '"cmocka"' $(BUILD)/meson-info/intro-dependencies.json; then \
		rm -f $(BUILD)/build.ninja $(BUILD)/meson-private/coredata.dat; \
	fi
	@$(MAKE) --no-print-directory run-tests

# A make of its own: what it asks of Python is only there after the bootstrap.
.PHONY: run-tests
run-tests: all
	@$(REROOT) $(MESON) test -C $(BUILD) --no-rebuild --print-errorlogs
	@$(PYTEST) -q $(XDIST) tests

check-long:
	@tools/bootstrap build test long package
	@$(MAKE) --no-print-directory check check-asan
	@$(MAKE) --no-print-directory fuzz
	@$(PYTEST) -q -m long tests

check-asan:
	@tools/bootstrap build test
	@$(MAKE) --no-print-directory BUILD=$(ASAN_BUILD) OUT=$(ASAN_OUT) run-tests \
		MESON_ARGS='-Db_sanitize=address,undefined -Dbuildtype=debugoptimized'

escape: all
	@$(PYTEST) -q tests/escape

fuzz:
	@tools/bootstrap build fuzz
	@tools/fuzz $(MINUTES)

bench:
	@tools/bootstrap build bench
	@$(MAKE) --no-print-directory all
	@$(REROOT) $(PYTHON) bench/bench.py --build $(BUILD) --purple $(OUT) --rounds $(ROUNDS) \
		--sandboxes $(SANDBOXES) --scale $(SCALE) $(BENCH_ARGS)

lint: configured
	@tools/lint $(BUILD)

format:
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

# A plain copy: the programs find each other relative to /proc/self/exe.
install:
	@if [ ! -x $(OUT)/bin/purple ] || [ -w $(BUILD) ]; then $(MAKE) --no-print-directory all; fi
	@umask 022 && mkdir -p '$(DESTDIR)$(PREFIX)' && cp -Rf $(OUT)/. '$(DESTDIR)$(PREFIX)/'
	@echo 'installed: $(DESTDIR)$(PREFIX)/bin/purple'

clean:
	rm -rf build build-asan build-fuzz out out-asan

# The same commit gives the same bytes.
VERSION = $(shell sed -n "s/^  version: '\(.*\)',/\1/p" meson.build)
dist:
	@mkdir -p $(BUILD)
	@git archive --prefix=purple-$(VERSION)/ HEAD | xz -9 -T1 >$(BUILD)/purple-$(VERSION).tar.xz
	@echo $(BUILD)/purple-$(VERSION).tar.xz

deb:
	@tools/bootstrap build package
	@tools/deb $(BUILD)/deb

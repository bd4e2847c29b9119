# `make demo` shows edgecap at work, `make test` proves it. Both make the environment first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
COMPAT := .venv-compat

.PHONY: demo test test-processor test-devices fuzz lint wheel compat web clean

demo: $(INSTALLED)
	$(BIN)/edgecap demo -o demo

# Files in the order of tests/conftest.py, the longest first, and not by their number of tests.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED) lint
	$(BIN)/pytest $(WORKERS)

# What exports, loads and captions, as an x86-64 without VNNI would: parts of this one are hidden.
# faulthandler is off, for the library that hides them catches its signal.
test-processor: $(INSTALLED)
	$(BIN)/python -m edgecap_bench.emulation.mask Haswell \
		$(BIN)/python -m pytest -p no:faulthandler $(WORKERS) -m processor tests/export tests/edgecap

# The devices without one: ARM programs under qemu, a browser, apps in other languages. README names
# the packages of Debian that it takes; as root it installs them. Without them it skips, and says so.
# EDGECAP_DEVICES=full takes all photographs and systems, and an hour.
EDGECAP_DEVICES ?= quick
test-devices: $(INSTALLED)
	EDGECAP_DEVICES=$(EDGECAP_DEVICES) $(BIN)/python tests/devices/prepare.py
	EDGECAP_DEVICES=$(EDGECAP_DEVICES) $(BIN)/pytest -n 2 --dist loadgroup tests/devices tests/embedding

# Mutated captioners by the thousand, each in a process of its own, in some 10 minutes; a short run
# is in the tests. None may say other words, crash, or hang.
FUZZ_MUTATIONS ?= 10000
FUZZ_CAPTIONERS := build/fuzz/nano.tflite build/fuzz/nano.onnx
fuzz: $(FUZZ_CAPTIONERS)
	$(BIN)/python tests/fuzz/fuzz.py $(FUZZ_CAPTIONERS) --mutations $(FUZZ_MUTATIONS)

build/fuzz/nano.%: $(INSTALLED)
	mkdir -p build/fuzz
	$(BIN)/edgecap export nano -o $@ --quantize static-int8 --calibrate edgecap/samples

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The device's package alone: copy it there and install it with its one interpreter.
wheel: $(INSTALLED)
	$(BIN)/python -m build --wheel --outdir dist runtime

# The last tflite-runtime, which 32-bit ARM and old Android libraries stay with, in an environment
# of its own: it wants NumPy 1 and Python 3.11 at most. Once it is there, the tests of recipe compat
# run in it; without it they are skipped.
compat: $(COMPAT)/.installed

$(COMPAT)/.installed: Makefile
	$(PYTHON) -m venv $(COMPAT)
	$(COMPAT)/bin/python -m pip install --quiet --disable-pip-version-check \
		tflite-runtime==2.14.0 numpy==1.26.4 pillow==13.0.0
	touch $@

# constraints.txt holds the versions that edgecap was tested with.
$(INSTALLED): pyproject.toml runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e "./runtime[tflite,onnx]" -e ".[export,dev]"
	touch $@

# The app for a phone's browser, with two captioners of the box: built, then served at port 8000.
# It needs Node 20 or newer.
WEB_CAPTIONERS := build/web/mobilenet-attention.tflite build/web/nano.tflite

web: $(WEB_CAPTIONERS)
	cd runtime/web && npm ci --no-audit --no-fund
	cd runtime/web && node tools/build.js $(WEB_CAPTIONERS:%=../../%)
	cd runtime/web && node tools/serve.js

build/web/%.tflite: $(INSTALLED)
	mkdir -p build/web
	# A browser searches by itself: the search inside would only take its memory.
	$(BIN)/edgecap export $* -o $@ --quantize static-int8 --calibrate edgecap/samples --no-search

clean:
	rm -rf $(VENV) $(COMPAT) .devices demo dist build runtime/web/build runtime/web/types

# `make demo` shows edgecap at work, `make test` proves it. Both make the environment first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint wheel clean

demo: $(INSTALLED)
	$(BIN)/edgecap demo -o demo

test: $(INSTALLED) lint
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The device's package alone: copy it there and install it with its one interpreter.
wheel: $(INSTALLED)
	$(BIN)/python -m build --wheel --outdir dist runtime

# constraints.txt holds the versions that edgecap was tested with.
$(INSTALLED): pyproject.toml runtime/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e "./runtime[tflite,onnx]" -e ".[export,dev]"
	touch $@

clean:
	rm -rf $(VENV) demo dist build

# Every target sets itself up: `make demo` and `make test` work on a fresh checkout.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m

# What the environment was installed from, and where: by content, so that switching branches does not reinstall.
FINGERPRINT := $(shell cat pyproject.toml constraints.txt | cksum) $(CURDIR)

.PHONY: setup install lint types test tensorrt-rtx demo wheel clean

setup:
	@[ "$$(cat $(VENV)/installed 2>/dev/null)" = "$(FINGERPRINT)" ] || $(MAKE) --no-print-directory install

# An environment that was left half made, or made elsewhere, is made anew; pip names the place that it runs from.
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "error: needs Python 3.11 or newer as $(PYTHON) (name another one: make PYTHON=python3.12)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "error: $(PYTHON) has no venv (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@if [ -e $(VENV)/installing ] || ! $(VENV)/bin/python -m pip --version 2>/dev/null | grep -qF "$(CURDIR)/$(VENV)/"; then \
	  rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); fi
	@rm -f $(VENV)/installed && touch $(VENV)/installing
	$(RUN) pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@rm $(VENV)/installing && echo "$(FINGERPRINT)" > $(VENV)/installed

lint: setup
	$(RUN) ruff check
	$(RUN) ruff format --check

types: setup
	$(RUN) mypy

test: setup
	$(RUN) pytest

# TensorRT for RTX cards (95 MB) builds engines without a GPU, which proves that it takes our networks.
tensorrt-rtx: setup
	@[ -d .tensorrt-rtx ] || $(RUN) pip install --disable-pip-version-check --quiet --no-deps --target .tensorrt-rtx \
	  tensorrt-rtx-cu13-libs==1.7.1.116 tensorrt-rtx-cu13-bindings==1.7.1.116 || \
	  { rm -rf .tensorrt-rtx; echo "skipped: TensorRT-RTX cannot be installed here, see above"; exit 0; }
	@[ ! -d .tensorrt-rtx ] || PYTHONPATH=.tensorrt-rtx $(RUN) pytest tests/engine/test_tensorrt_rtx.py

demo: setup
	$(VENV)/bin/python tools/demo.py

wheel: setup
	$(RUN) build

# Leaves runs/ alone: trainings are the user's. The environment goes with `rm -rf .venv`.
clean:
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find i2itool trainer presets tests benchmarks tools -name __pycache__ -prune -exec rm -rf {} +

# Two commands for a fresh machine with Python 3.11 or newer, a C++ compiler and make:
#
#   make demo    a digit classifier through the RTL, checked against the golden model
#   make test    linters, type checker and tests
#
# Everything is installed into the folder .venv; the second time nothing is. Another interpreter:
# make PYTHON=python3.13 ... (before .venv is made, or with VENV=another-folder).
# WITH=badcrossbar adds an extra to what tests install, here one that needs system packages.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Tests take from milliseconds to minutes: a worker without any left takes some of another's.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help demo test test-all lint venv clean

help:
	@echo "make demo      install what a run needs, and run the digit classifier through the RTL"
	@echo "make test      lint, then the tests that continuous integration runs"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      ruff and mypy"
	@echo "make venv      only install, everything that development needs"
	@echo "make clean     remove the environment and the caches of this folder"

demo: $(VENV)/.installed-demo
	$(BIN)/celosia demo

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

venv: $(VENV)/.installed-test

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed-demo: EXTRAS := plots
$(VENV)/.installed-test: EXTRAS := test,plots,boards,vela$(WITH:%=,%)

$(VENV)/.installed-demo $(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	@echo "installing celosia[$(EXTRAS)] into $(VENV)"
	@$(PIP) --editable ".[$(EXTRAS)]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, not $$($(PYTHON) --version 2>&1);" \
	    "name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

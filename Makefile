# make demo   set up .venv, run the main job on generated input, write pictures and a report under runs/demo/
# make test   set up .venv with the dev extras, run all tests
# make soak   random problems and faults against oracles for 10 minutes; make soak SECONDS=60 SEED=1, or CASE=7 for one again
# make check  lint, format, types, and the pre-commit configuration
# make bench  every benchmark beside the peers that are installed, into benchmarks/results/ and benchmarks/REPORT.md: hours
# make bench QUICK=1  the small cases of each, into runs/bench/REPORT.md: a quarter of an hour or more
# make bench-report  benchmarks/REPORT.md, its plots and the README's ratios from benchmarks/results/ as it is
# make bench-NAME  one of them: exact, entropic, semidiscrete, discrepancies, training, models; entropic and semidiscrete
#                  install their peers into .venv first (GeomLoss, KeOps, OTT-JAX; sdot, if there is a Python >= 3.12)
# make notebooks  notebooks/*.ipynb of their sources, run: half an hour; MNIST from OTGEN_DATA, or: make notebooks N='01 04'
# make gpu-test   the tests of the CUDA kernels on a GPU, with whatever Python has CuPy: make gpu-test GPU_PYTHON=python3
# make gpu-bench  its benchmarks beside the peers that are installed, into benchmarks/results/gpu-*.json
# make docs   the documentation, into runs/site/index.html: the API from its docstrings, README, report and notebooks
# make wheel  build the wheel and the sdist into dist/
# make wheel-test  install that wheel with its extra validate in an empty environment, and run otgen validate --quick there
# make clean  remove .venv, runs/ and caches
# Another interpreter: make PYTHON=/path/to/python3.12 demo

SHELL := /bin/sh
.DEFAULT_GOAL := help

# A name on PATH proves nothing (pyenv leaves shims that fail), so each candidate is run.
ifndef PYTHON
PYTHON := $(shell for p in python3.13 python3.12 python3.11 python3; do \
    if "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
    then echo "$$p"; break; fi; done)
endif

# The peer sdot needs a newer Python than this library: an environment of its own, or none.
SDOT_PYTHON ?= $(shell for p in python3.14 python3.13 python3.12; do \
    if "$$p" -c 'import venv, ensurepip' >/dev/null 2>&1; then echo "$$p"; break; fi; done)

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)

# Numba does not see an edited helper in another file: a cache folder per state of the kernel sources never serves a stale caller.
KERNELS := $(sort $(shell find kernels -name '*.py' -o -name '*.cu' -o -name '*.cuh'))
export NUMBA_CACHE_DIR := $(CURDIR)/$(VENV)/numba-$(shell cat /dev/null $(KERNELS) | cksum | tr ' ' '-')

PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help demo test soak check bench bench-report bench-exact bench-entropic bench-semidiscrete bench-discrepancies bench-training bench-models notebooks gpu-test gpu-bench docs wheel wheel-test clean

help:
	@sed -n 's/^# make/make/p' Makefile

# bin/python is there before pip is: only the stamp says that an earlier run was not interrupted between them.
$(VENV)/made.stamp:
	@test -n "$(PYTHON)" || { echo "no working Python >= 3.11 with venv was found; install one, or: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo.stamp: $(VENV)/made.stamp pyproject.toml constraints.txt
	$(PIP) --editable '.[models,plot,validate]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/made.stamp pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/bench.stamp: $(VENV)/made.stamp pyproject.toml constraints.txt
	$(PIP) --editable '.[dev,bench]'
	@touch $@ $(VENV)/dev.stamp $(VENV)/demo.stamp

demo: $(VENV)/demo.stamp
	$(VENV)/bin/python -m otgen demo

# Two processes, half of the files each until one is done: most of the time is compiling of kernels, by one core.
test: $(VENV)/dev.stamp
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal

SECONDS := 600
SEED := 0

soak: $(VENV)/dev.stamp
	PYTHONPATH=tests $(VENV)/bin/python -m soak --seconds $(SECONDS) --seed $(SEED) $(if $(CASE),--case $(CASE))

# The hooks repeat the three commands above them; pyright, the slow one, is not run twice.
check: $(VENV)/dev.stamp
	ruff check
	ruff format --check
	pyright
	@if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then SKIP=pyright pre-commit run --all-files; fi

bench: $(VENV)/dev.stamp
	$(VENV)/bin/python benchmarks/run_all.py $(if $(QUICK),--quick)

bench-report: $(VENV)/dev.stamp
	$(VENV)/bin/python benchmarks/write_report.py

bench-exact bench-discrepancies bench-training bench-models: $(VENV)/dev.stamp
bench-entropic: $(VENV)/bench.stamp
bench-semidiscrete: $(VENV)/dev.stamp $(VENV)/sdot.stamp
bench-exact bench-entropic bench-semidiscrete bench-discrepancies bench-training bench-models:
	$(VENV)/bin/python benchmarks/$(@:bench-%=%).py
	$(VENV)/bin/python benchmarks/write_report.py

N :=

notebooks: $(VENV)/dev.stamp
	$(VENV)/bin/python notebooks/build.py $(N)

# On a GPU the machine's own Python is used as it is: its CuPy and torch fit its driver. Nothing is skipped silently:
# without a device these stop at once.
GPU_PYTHON ?= python3
GPU_TESTS := $(wildcard tests/kernels/test_cuda_*.py tests/transport/test_*device*.py) tests/test_devices.py
# What needs no device is tested elsewhere; most of the rest is one core's compiling, so several share the device.
GPU_TESTS := $(filter-out tests/kernels/test_cuda_sources.py,$(GPU_TESTS))
GPU_PYTEST = $(shell $(GPU_PYTHON) -c 'import xdist' 2>/dev/null && printf %s '-n 8 --dist loadfile')

gpu-test:
	OTGEN_TEST_GPU=1 PYTHONPATH=$(CURDIR):$(CURDIR)/kernels $(GPU_PYTHON) -m pytest -q $(GPU_PYTEST) $(GPU_TESTS)

gpu-bench:
	PYTHONPATH=$(CURDIR):$(CURDIR)/kernels $(GPU_PYTHON) benchmarks/gpu.py

# The sources are read, not imported: torch and the like are not needed.
$(VENV)/docs.stamp: $(VENV)/made.stamp pyproject.toml constraints.txt
	$(PIP) --editable '.[docs]'
	@touch $@

# The variable silences a banner about the future of mkdocs.
docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --quiet
	@echo "runs/site/index.html"

# hatchling itself, not pip: it builds from the tree without an environment of its own, hence without network.
wheel: $(VENV)/dev.stamp
	rm -rf dist
	$(VENV)/bin/python -m hatchling build -t sdist -t wheel -d dist

# Nothing of the checkout is on the path there: no editable install, no PYTHONPATH, no kernel cache, an empty folder.
wheel-test: wheel
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && unset PYTHONPATH NUMBA_CACHE_DIR && \
	mkdir "$$folder/empty" && $(VENV)/bin/python -m venv "$$folder/venv" && \
	"$$folder/venv/bin/python" -m pip --disable-pip-version-check install --quiet --constraint constraints.txt \
	    "$$(ls "$(CURDIR)"/dist/otgen-*.whl)[validate]" && \
	cd "$$folder/empty" && "$$folder/venv/bin/python" -m otgen validate --quick

$(VENV)/sdot.stamp: $(VENV)/made.stamp
	@if test -z "$(SDOT_PYTHON)"; then echo "no Python >= 3.12 was found for sdot, which is left out; or: make SDOT_PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	elif "$(SDOT_PYTHON)" -m venv $(VENV)/sdot && $(VENV)/sdot/bin/python -m pip --disable-pip-version-check install --quiet sdot==2026.10.22.1 'jax>=0.7,<0.9'; then touch $@; \
	else echo "sdot could not be installed, and is left out" >&2; fi

clean:
	rm -rf $(VENV) runs dist build .pytest_cache .ruff_cache .hypothesis
	find otgen kernels tests benchmarks notebooks docs -name __pycache__ -type d -exec rm -rf {} +

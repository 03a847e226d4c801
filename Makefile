# Everything runs in .venv, which any target makes first. `make help` lists the targets.

PYTHON ?= python3
ARGS ?=
PY := .venv/bin/python
STAMP := .venv/installed
PIP := $(PY) -m pip --disable-pip-version-check --no-input

.PHONY: help demo test slow bench check-tools clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo   set up .venv and run examples/experiments/demo.py (options: ARGS="...")'
	@echo 'make test   set up .venv; lint, format, types, tests'
	@echo 'make slow   the tests that take longer than 20 seconds each'
	@echo 'make bench  the benchmarks, one table each'
	@echo 'make clean  remove .venv and the caches of the tools (not the downloaded assets)'
	@echo 'PYTHON=...  the interpreter to build .venv with (3.11 or newer; default python3)'

demo: $(STAMP)
	@$(PY) examples/experiments/demo.py $(ARGS)

test: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m pytest $(ARGS)

slow: $(STAMP)
	$(PY) -m pytest -m 'slow and not gpu' $(ARGS)

bench: $(STAMP)
	@set -e; for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(PY) "$$script"; done

# torch comes first and alone, in its pinned version: resolving a plain `torch` together with the rest can bring gigabytes of
# CUDA libraries. Where pip's configuration offers a CPU wheel (2.13.0+cpu), that one is the newer by version order and wins.
# modAL comes last, without dependencies: it pins a skorch that no longer imports (see pyproject.toml).
$(STAMP): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory check-tools
	@echo 'Installing into .venv, once; this takes a few minutes.'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet torch==2.13.0 -c constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[all,test]'
	$(PIP) install --quiet --no-deps modAL-python==0.4.2.1
	@touch $(STAMP)

# pip compiles kenlm and hnswlib: they need a C++ compiler and Python's headers (cmake comes as a build requirement).
check-tools:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'skprune needs Python 3.11 or newer; no $(PYTHON) was found.' \
	    'On Debian: apt-get install -y python3-venv python3-dev g++' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'skprune needs Python 3.11 or newer; $(PYTHON) is older.' \
	    'Name another one: make PYTHON=python3.12' >&2; exit 1; }
	@missing=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sysconfig; \
	  os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null || missing="$$missing python3-dev"; \
	command -v c++ >/dev/null || missing="$$missing g++"; \
	test -z "$$missing" || { echo "Tools are missing. On Debian: apt-get install -y$$missing" >&2; exit 1; }

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist skprune.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

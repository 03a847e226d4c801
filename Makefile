# Every target runs in .venv and creates it first if needed. `make help` lists the targets.

PYTHON ?= python3
ARGS ?=
CONSTRAINTS ?= constraints.txt
TORCH ?= torch==2.13.0
PIN = $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
PY := .venv/bin/python
STAMP := .venv/installed
PIP := $(PY) -m pip --disable-pip-version-check --no-input

.PHONY: help demo test coverage slow gpu network bench bench-peers api docs check-tools clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo      run examples/experiments/demo.py (options: ARGS="...")'
	@echo 'make test      lint, format, types, import contracts, tests (options for pytest: ARGS="...")'
	@echo 'make coverage  the same tests, with the share of lines they cover'
	@echo 'make slow      the tests that take longer than 20 seconds each'
	@echo 'make gpu       the tests that need a CUDA device'
	@echo 'make network   the tests that fetch from a package registry or apt'
	@echo 'make bench     the benchmarks, one table each'
	@echo 'make bench-peers  compared with other libraries, into docs/benchmarks-peers.md (options: ARGS="--sizes 10000")'
	@echo 'make api       the public classes, their parameters and defaults, as a table'
	@echo 'make docs      the site, in docs/_build/html; warnings are errors (the examples run: a few minutes)'
	@echo 'make clean     remove .venv and the caches of the tools (not the downloaded assets)'
	@echo 'PYTHON=...     the interpreter to build .venv with (3.11 or newer; default python3)'

demo: $(STAMP)
	@$(PY) examples/experiments/demo.py $(ARGS)

test: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m pytest $(ARGS)

coverage: $(STAMP)
	$(PY) -m pytest --cov=skprune --cov-report=term:skip-covered $(ARGS)

slow: $(STAMP)
	$(PY) -m pytest -m 'slow and not gpu' $(ARGS)

gpu: $(STAMP)
	$(PY) -m pytest -m gpu $(ARGS)

network: $(STAMP)
	$(PY) -m pytest -m network $(ARGS) || test $$? -eq 5  # 5: no test matched

api: $(STAMP)
	@$(PY) docs/api_table.py

# The packages of the site are installed on the first call: they are of no use to anybody else.
docs: .venv/docs-installed
	$(PY) -m sphinx -b html -W --keep-going $(ARGS) docs docs/_build/html
	@! grep -rlE '<(script|link|img)[^>]*(src|href)="https?:' --include='*.html' docs/_build/html \
	  || { echo 'These pages need a network when they are read.' >&2; exit 1; }
	@echo 'Open docs/_build/html/index.html'

.venv/docs-installed: $(STAMP)
	$(PIP) install --quiet $(PIN) -e '.[docs]'
	@touch $@

bench: $(STAMP)
	@set -e; for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(PY) "$$script"; done

# The peers get an environment of their own, because they bring packages that nobody else needs. It sees the packages of .venv,
# so that both sides of a ratio use the same NumPy, scikit-learn and torch. A peer that does not install becomes a row that
# says so.
PEERS := .venv-peers/bin/python
PEERS_LIST := tests/benchmarks/peers/requirements.txt

bench-peers: .venv-peers/installed
	@$(PEERS) -m tests.benchmarks.peers $(ARGS)

.venv-peers/installed: $(STAMP) $(PEERS_LIST)
	$(PY) -m venv .venv-peers
	@$(PY) -c 'import sysconfig; print("import site; site.addsitedir(\"" + sysconfig.get_path("purelib") + "\")")' \
	  > "$$($(PEERS) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages_of_skprune.pth"
	@grep -v '^#' $(PEERS_LIST) | while read -r peer; do \
	  $(PEERS) -m pip --disable-pip-version-check --no-input install --quiet $(PIN) "$$peer" \
	    || echo "$$peer does not install here" >&2; done
	@touch $@

# torch is installed first and alone, in its pinned version: resolving an unpinned `torch` together with the rest can pull in
# gigabytes of CUDA libraries. If pip's configuration offers a CPU wheel (2.13.0+cpu), pip prefers it: it sorts as the newer.
# modAL is installed last, without dependencies: it pins a skorch that no longer imports (see pyproject.toml).
# CONSTRAINTS= (empty) installs the newest releases instead.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(MAKE) --no-print-directory check-tools
	@echo 'Installing into .venv, once; this takes a few minutes.'
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet $(TORCH) $(PIN)
	$(PIP) install --quiet $(PIN) -e '.[all,test]'
	$(PIP) install --quiet --no-deps modAL-python==0.4.2.1
	@touch $(STAMP)

# pip compiles kenlm and hnswlib, which needs a C++ compiler and Python's headers (pip installs cmake for the build).
check-tools:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'skprune needs Python 3.11 or newer, and $(PYTHON) was not found.' \
	    'On Debian: apt-get install -y python3-venv python3-dev g++' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'skprune needs Python 3.11 or newer; $(PYTHON) is older.' \
	    'Name another interpreter: make PYTHON=python3.12' >&2; exit 1; }
	@missing=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sysconfig; \
	  os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null || missing="$$missing python3-dev"; \
	command -v c++ >/dev/null || missing="$$missing g++"; \
	test -z "$$missing" || { echo "Tools are missing. On Debian: apt-get install -y$$missing" >&2; exit 1; }

clean:
	rm -rf docs/_build docs/api docs/auto_examples
	rm -rf .venv .venv-peers .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist skprune.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

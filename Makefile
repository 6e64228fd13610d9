# Two commands do everything on a fresh machine (git, make, Python 3.11 or newer with pip; for the tests a C++ compiler
# too, with which torch.compile and mlx compile at run time):
#   make demo    an environment in .venv, the base package, then the main job and one report
#   make test    the same environment with all that the tests need (2.6 GB), then ruff, mypy and pytest
# The tests run in two processes: make test WORKERS=8 for more, WORKERS=0 for one; TESTS="-k word" goes to pytest as well.
# Every path is relative, because make cannot quote the name of the folder that it stands in.

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
  command -v $$p >/dev/null 2>&1 \
  && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input install --quiet -c constraints.txt
CATALOGUE := src/normlab/locale
BABEL := $(PY) -m babel.messages.frontend --quiet
WORKERS ?= 2
TESTS ?=
# Neighbours stay in one process, which shares what they are compared with; whoever has nothing left takes from the other.
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist worksteal

# An environment knows its own folder by name: where this folder was moved or copied, it is made again.
$(shell [ ! -f .venv/.where ] || [ "`cat .venv/.where`" = "`pwd -P`" ] || rm -rf .venv)

.PHONY: help demo test test-all messages pictures claims bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   make/make/p' Makefile

demo: .venv/.base
	@$(PY) -m normlab.cli.demo

test: .venv/.test
	$(PY) -m ruff check src tests docs benchmarks
	$(PY) -m mypy
	$(PYTEST) $(TESTS)

test-all: .venv/.test
	$(PY) -m ruff check src tests docs benchmarks
	$(PY) -m mypy
	$(PYTEST) -m 'slow or not slow' $(TESTS)

messages: .venv/.test
	$(BABEL) extract --no-location --sort-output -k translate -k both -k N_ -o normlab.pot src/normlab
	$(BABEL) update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap -D normlab -i normlab.pot -d $(CATALOGUE)
	$(BABEL) compile -D normlab -d $(CATALOGUE)

pictures: .venv/.test
	$(PY) docs/pictures.py
	$(PY) docs/lab_pictures.py
	$(PY) examples/execute.py

claims: .venv/.test
	$(PY) docs/claims.py

bench: .venv/.test
	$(PY) benchmarks/speed.py

clean:
	rm -rf .venv build dist normlab.pot normlab-report.html
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.base: pyproject.toml constraints.txt
	@$(PY) -c '' 2>/dev/null || [ -n "$(PYTHON)" ] || { echo 'normlab needs Python 3.11 or newer: make demo PYTHON=/path/to/python' >&2; exit 1; }
	@$(PY) -c '' 2>/dev/null || { $(PYTHON) -m venv --clear .venv && pwd -P > .venv/.where; }
	@echo 'installing normlab into .venv (once; about half a minute)' >&2
	@$(PIP) -e .
	@touch $@

.venv/.test: .venv/.base
	@echo 'installing what the tests need into .venv (once; 2.6 GB, some minutes)' >&2
	@$(PIP) -e '.[test]'
	@touch $@

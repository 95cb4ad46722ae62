# Every command sets up what it needs in .venv first; nothing but Python 3.11 or later is asked for.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test quick lint types format check notebooks bench tiny clean

demo: .venv/.run            ## the main job, offline, with the embedded model
	$(BIN)/agentloop demo

test: .venv/.dev            ## all tests
	$(BIN)/python -m pytest

quick: .venv/.dev           ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/.dev
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint types test

tiny: .venv/.dev            ## make the embedded model from nothing
	$(BIN)/python benchmarks/make_tiny.py

.venv/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; give one with: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[memory,train]'
	touch $@

.venv/.dev: .venv/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

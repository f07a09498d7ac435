# Eight words: demo test check live coverage mutants build clean. Only Python >= 3.11 and make are needed before.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: demo test check live coverage mutants build clean

# pip >= 25.1 reads [dependency-groups]; the stamp makes a second call cost nothing. Compiled, since
# each start would do it anew where PYTHONDONTWRITEBYTECODE is set.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "swe-router needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	$(BIN)/python -m compileall -q swe_router
	@touch $(STAMP)

demo: $(STAMP)  ## install, then the main job on the embedded default: no key, no Docker, no GPU
	$(BIN)/swe-router run --split demo --budget 1

test: $(STAMP)  ## install, then the default tests: no network, no Docker, no key, no GPU
	$(BIN)/python -m pytest

check: $(STAMP)  ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/mypy tests/typing
	$(BIN)/lint-imports

live: $(STAMP)  ## the tiers that need this machine: TIERS="box or docker or ray or plugins"
	$(BIN)/python -m pytest tests/live -m "$(or $(TIERS),box or docker or ray or plugins)"

coverage: $(STAMP)  ## lines that all tiers run, child processes too: 95% of all, 90% of each room
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage run -m pytest tests/live -m "$(or $(TIERS),box or docker or ray)"
	$(BIN)/coverage combine --quiet
	$(BIN)/python benchmarks/coverage_rooms.py

mutants: $(STAMP)  ## faults drawn by lot, each run against the tests that cover its line: hours
	$(BIN)/coverage erase
	sed 's/^branch = false/dynamic_context = "test_function"/' pyproject.toml > .mutants.toml
	$(BIN)/coverage run --rcfile .mutants.toml -m pytest --junitxml=.mutants.xml
	$(BIN)/coverage combine --quiet --rcfile .mutants.toml
	$(BIN)/python benchmarks/mutants.py

build: $(STAMP)  ## wheel and sdist in dist/
	rm -rf dist
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage* .mutants.toml .mutants.xml mutants.jsonl

# Two commands do everything on a fresh machine with python3 (3.11 or newer) and make:
#   make demo    install, tune a real network on real images, print the path of the report
#   make test    install, run the tests
# make check runs what a change must pass: the tests and, before them, the static checks.
# make slow runs the tests that take minutes each, which make test leaves out.
# make torture runs the long versions of some tests, hours on two cores; make torture KILLS=5 DAMAGES=50 looks quickly.
PYTHON ?= python3
# Test processes; each takes about 1.5 GB of memory at most.
WORKERS ?= 2
# How many of each make torture tries (docs/torture.md), and the minutes that one promise may take.
KILLS ?= 100
FAULTS ?= 200
CHANGES ?= 1000
DAMAGES ?= 2500
CANDIDATES ?= 500
CALLS ?= 300
INPUTS ?= 20000
SECONDS ?= 120
NAMES ?= 60
BUDGETS ?= 8
LIMITS ?= 40
COMMANDS ?= 20
MINUTES ?= 60
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test slow torture check format lint types imports docstrings clean
.DEFAULT_GOAL := demo

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "BioTune needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $(READY)

demo: $(READY)
	$(BIN)/biotune demo --out runs/demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

slow: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m slow

torture: $(READY)
	PYTHONPATH=tests $(BIN)/python -m torture --kills $(KILLS) --faults $(FAULTS) --changes $(CHANGES) \
		--damages $(DAMAGES) --candidates $(CANDIDATES) --calls $(CALLS) --inputs $(INPUTS) --seconds $(SECONDS) \
		--names $(NAMES) --budgets $(BUDGETS) --limits $(LIMITS) --commands $(COMMANDS) --minutes $(MINUTES)

check: lint types imports docstrings test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

docstrings: $(READY)
	$(BIN)/pydoclint --quiet src benchmarks docs

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

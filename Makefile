# Two commands to begin with: `make demo` shows the whole, `make test` checks it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests and measurements start hundreds of processes: what they import is compiled once.
export PYTHONDONTWRITEBYTECODE =

# The first of these that is Python 3.11 or newer; override with `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)

.PHONY: help demo test torture mutants check format bench bench-smoke servers docs clean
help: ## list these targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 16

$(READY): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python 3.11 or newer was found." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3 …" >&2; exit 2; fi
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY) ## the activity app, a million events, from generator to proof
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo

# Whole files go to a worker: what they set up for all of their tests is set up once.
test: $(READY) ## all tests, on up to four cores
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(READY) ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## put the code into its format
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

bench: $(READY) ## what is promised about speed and memory, measured
	$(BIN)/python -m benchmarks

# RENEW=1 keeps the ratio that is measured, in benchmarks/smoke.json.
bench-smoke: $(READY) ## is it still as fast? A minute, against a plain DuckDB script
	$(BIN)/python -m benchmarks.smoke $(if $(filter-out 0,$(RENEW)),--renew)

# A failure prints the SEED, PART and TRIAL that repeat it. MINUTES is for all parts together; it
# ends within five thirds of as many, or says which parts were too slow. The soak takes
# SOAK_MINUTES (20) of them and a little more for its proof.
torture: SEED ?= 1
torture: MINUTES ?= 53
torture: $(READY) ## every promise of docs/reliability.md, tried at length
	$(BIN)/python -m tests.torture --seed $(SEED) --minutes $(MINUTES) \
		$(if $(PART),--part '$(PART)') $(if $(TRIAL),--trial $(TRIAL))

mutants: $(READY) ## break the engine on purpose: what catches each?
	$(BIN)/python -m tests.mutants

# DIRECTORY is where their data are kept.
servers: DIRECTORY ?= .servers
servers: $(READY) ## Kafka and PostgreSQL without containers, until Ctrl-C
	@$(BIN)/python -m tests.servers --directory "$(DIRECTORY)"

docs: $(READY) ## write the pages that come from the code
	$(BIN)/python -m docs.generate

clean: ## remove what was built, the data of the demo too
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Each target makes .venv first; all that is needed is make, Python >= 3.11 and the package registry.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The first interpreter that is new enough; `make PYTHON=… demo` chooses another.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint fmt verify mutants reference bench clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { echo "$(PYTHON) has no ensurepip: install its venv package (python3-venv)"; exit 1; }
	@echo "making $(VENV) with $(PYTHON) (a few minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## fit the eight schools: the posterior table, and a trace plot in out/
	@mkdir -p out
	$(BIN)/ppl run examples/eight_schools/model.ppl --data examples/eight_schools/data.json \
		--method nuts --set noncenter=theta --set target_accept=0.95 --seed 1 \
		--out out/eight_schools.nc --plot out/eight_schools.png

test: $(STAMP)  ## all tests but the soak (budget: 12 minutes on 2 cores)
	$(BIN)/python -m pytest --quiet --numprocesses=auto --maxprocesses=4 --dist=worksteal

test-all: $(STAMP)  ## all tests, the soak too
	XLA_FLAGS= HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal -m ''

lint: $(STAMP)  ## ruff, pyright, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

fmt: $(STAMP)  ## format the Python and the models
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/ppl fmt $$(git ls-files '*.ppl')

verify: $(STAMP)  ## every transformer, kernel and algorithm on 200 programs each, exactly; ONLY=name selects
	$(BIN)/python -m tests.verify.suite $(if $(ONLY),--only "$(ONLY)")

mutants: $(STAMP)  ## the bugs of others, planted one at a time: is each found? ONLY=name selects
	$(BIN)/python -m tests.verify.mutants $(if $(ONLY),--only "$(ONLY)")

reference: $(STAMP)  ## the 14 models against their reference posteriors
	$(BIN)/python -m benchmarks.reference $(if $(ONLY),--only $(ONLY))

bench: $(STAMP)  ## speed against hand-written code; ONLY=name selects
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks.run $(if $(ONLY),--only $(ONLY))

clean:  ## remove what make made
	rm -rf $(VENV) out build dist *.egg-info .cache

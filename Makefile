# Two commands are enough: `make run` and `make test`. Both install what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ONCE ?=

.DEFAULT_GOAL := help
.PHONY: help install run test prove bench package lint check-template format lock schema clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

install: $(STAMP) ## make the environment in .venv/ (run and test do this by themselves)

$(STAMP): requirements-dev.lock requirements-specs.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else "Postbus runs on Python 3.10, 3.11 and 3.12; $(PYTHON) is %d.%d. Say which to use: make PYTHON=python3.12 ..." % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv failed: on Debian and Ubuntu, 'apt-get install python3-venv' first" >&2; exit 1; }
	@echo "installing into $(VENV)/ (first time only, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements-specs.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## start everything on 127.0.0.1:8025 and watch one mail travel (ONCE=1: end after it)
	@$(BIN)/postbus up --journey $(if $(filter-out 0 no false,$(ONCE)),--once)

test: $(STAMP) ## all tests, the long proofs at a reduced count (under 10 minutes)
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not quiet" $(ARGS)
	$(BIN)/python -m pytest -m quiet

unit: $(STAMP) ## the tests that start no processes (about 2 minutes)
	$(BIN)/python -m pytest -n 2 -m "not stack and not quiet" $(ARGS)

prove: $(STAMP) ## the long proofs in full; prints seeds and figures
	POSTBUS_PROVE=1 $(BIN)/python -m pytest -s tests/stack/test_loop.py tests/stack/test_kill.py tests/proofs tests/deploy $(ARGS)

bench: $(STAMP) ## what Postbus costs: CPU per mail and per event, over doing it bare
	@$(BIN)/python bench/overhead.py $(ARGS)
	@$(BIN)/python bench/cold_start.py
	@$(BIN)/python bench/calls.py
	@$(BIN)/python bench/events.py

package: $(STAMP) ## the zips that Function Compute runs, in build/package/
	@$(BIN)/python -m deploy.package $(ARGS)

lint: $(STAMP) check-template ## ruff with every rule, formatting, strict types; the templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-template: $(STAMP) ## prove template.yml against the vendor's definitions and our rules
	@$(BIN)/python -m deploy.check $(ARGS)

format: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## resolve the dependencies anew, with hashes and for every Python
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.10 $(UPGRADE) pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.10 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.10 --no-deps $(UPGRADE) --group specs -o requirements-specs.lock

schema: $(STAMP) ## write docs/schema/ and the tables of docs/events.md from the code
	$(BIN)/postbus schema --write docs/schema
	$(BIN)/python -m local.events_doc

clean: ## remove the environment and the local state
	rm -rf $(VENV) .postbus build *.egg-info

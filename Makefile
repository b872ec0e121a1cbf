# Two commands do all the set-up: `make run` and `make test`. Both work again on a second run.
# `make` alone lists the others.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# What another environment left in the shell must not leak into ours.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_REQUIRE_VIRTUALENV
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --constraint requirements.lock --editable

.PHONY: help run test test-unit lint format bench clean lock system-packages

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Install, fill a demo into ./var on the first run, serve on http://127.0.0.1:8000
	@exec $(BIN)/cairn-server serve --demo

test: $(VENV)/.test system-packages lint ## Install, check format, lint and types, run the whole suite
	$(BIN)/python -m pytest $(PYTEST)

test-unit: $(VENV)/.test ## Run the fast floor of the suite
	$(BIN)/python -m pytest tests/unit $(PYTEST)

lint: $(VENV)/.test ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.test ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

bench: $(VENV)/.test ## Measure against dvc and git, side by side; BENCH=--full adds the large sizes
	$(BIN)/python -m benchmarks $(BENCH)

clean: ## Remove everything that the other commands made, except ./var
	rm -rf $(VENV) build benchmarks/out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

lock: ## Write requirements.lock anew from pyproject.toml, with the newest versions
	rm -rf build/lock
	python=$$(tools/find-python) && "$$python" -m venv build/lock
	build/lock/bin/python -m pip install --quiet --editable '.[server,demo,test]'
	{ echo '# Versions that the suite was run with. Made by: make lock'; \
	  build/lock/bin/python -m pip freeze --exclude-editable; } > requirements.lock

system-packages:
	@tools/system-packages

# A folder without pip is what an interrupted run left.
$(VENV)/.made:
	@if [ ! -x $(BIN)/pip ]; then \
	  echo 'Making a virtual environment in $(VENV) ...'; \
	  rm -rf $(VENV); python=$$(tools/find-python) && "$$python" -m venv $(VENV); \
	fi
	@touch $@

$(VENV)/.run: pyproject.toml requirements.lock | $(VENV)/.made
	@echo 'Installing what the service needs (one or two minutes) ...'
	$(PIP_INSTALL) '.[server,demo]'
	@touch $@

$(VENV)/.test: pyproject.toml requirements.lock | $(VENV)/.made
	@echo 'Installing what the tests need (one or two minutes) ...'
	$(PIP_INSTALL) '.[server,demo,test]'
	@touch $@ $(VENV)/.run

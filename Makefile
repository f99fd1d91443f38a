# `make` lists the targets. Each sets up what it needs: a virtual environment in .venv.
# Overrides for the presets: make fast ARGS="gpu=rtx3080 model=convnext_tiny"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What a search needs, and what tests, lint and benchmarks need beside it.
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
# Of pip's lines those that show how far it is; a failed install still fails.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
SHOWN := | { grep --line-buffered -E '^( *Downloading|Installing|Successfully|ERROR|error)' || true; }
ARGS ?=
PORT ?= 8080

PRESETS := $(filter-out base,$(basename $(notdir $(wildcard conf/hparams_search/*.yaml))))

# Whatever else is given, `make fast gpu=cpu` or `args=...`, would be dropped without a word.
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command%,$(origin $(v))),$(v)))
KNOWN := PYTHON VENV BIN ARGS PORT STORAGE PRESETS MAKEFLAGS MAKEOVERRIDES SHELL CURDIR PATH \
  PIP_CONSTRAINT OMP_NUM_THREADS
LOST := $(filter-out $(KNOWN),$(GIVEN))
ifneq ($(LOST),)
$(error $(foreach v,$(LOST),$(v)=$($(v))): overrides go into ARGS="...", as in make fast ARGS="$(foreach v,$(filter-out args Args,$(LOST)),$(v)=$($(v)))$(args)$(Args)")
endif

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all lint format bench dashboard clean $(PRESETS)

help: ## This list
	@{ grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1|/'; \
	  for preset in $(PRESETS); do \
	    echo "$$preset|Search, $$(sed -n '2{s/^# F/f/;s/[:,].*//;p}' conf/hparams_search/$$preset.yaml)"; done; \
	} | awk -F'|' '{ printf "  %-12s %s\n", $$1, $$2 }'
	@echo 'Overrides: make fast ARGS="gpu=rtx3080 optuna.n_trials=40"'

setup: $(INSTALLED_DEV) ## Create .venv and install everything

$(INSTALLED): pyproject.toml constraints.txt
	@echo "installing what a search needs into $(VENV): about 6 GB with torch, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --constraint constraints.txt --editable '.[images]' $(SHOWN)
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@echo "installing what tests need: browsers' driver, PostgreSQL, other launchers and loggers"
	@$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]' $(SHOWN)
	@touch $@

$(PRESETS): $(INSTALLED)
	$(BIN)/python -m src.train -m hparams_search=$@ $(ARGS)

train: $(INSTALLED) ## Train once with the defaults
	$(BIN)/python -m src.train $(ARGS)

# One more than cores, as some tests wait for Slurm, servers and clocks. Threads of a search's workers
# that wait must not spin, as they share the cores with other tests.
PYTEST = OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest \
  --numprocesses $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1))) --dist worksteal

test: $(INSTALLED_DEV) ## Run the tests, but for those that take longest
	$(PYTEST) -m 'not thorough' $(ARGS)
	@echo "left out: the tests marked thorough; make test-all runs them as well"

test-all: $(INSTALLED_DEV) ## Run all tests
	$(PYTEST) $(ARGS)

lint: $(INSTALLED_DEV) ## Check style and types
	$(BIN)/ruff check doctune src tests
	$(BIN)/ruff format --check doctune src tests
	$(BIN)/mypy

format: $(INSTALLED_DEV) ## Mend the style
	$(BIN)/ruff check --fix doctune src tests
	$(BIN)/ruff format doctune src tests

bench: $(INSTALLED_DEV) ## Measure what is promised
	$(BIN)/python -m tests.benchmarks $(ARGS)

dashboard: $(INSTALLED) ## Show all studies in the browser, on this machine only; PORT=8080 STORAGE=URL
	@$(BIN)/optuna-dashboard --host 127.0.0.1 --port $(PORT) '$(or $(STORAGE),sqlite:///multirun/optuna.db)'

clean: ## Remove the environment and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache data_cache

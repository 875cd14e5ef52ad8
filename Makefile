# Every target sets up .venv first when it is missing or older than pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all test-long coverage test-postgres lint check docs siege audit bench tensorboard clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

setup: .venv/ready ## make .venv with everything in it

train: .venv/ready ## train the default experiment; ARGS="model=transformer data=imdb" for another
	$(BIN)/python train.py $(ARGS)

test: .venv/ready ## run the tests, but for the slow ones
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not slow and not long" $(ARGS)

test-all: .venv/ready ## run all tests, but for those that take minutes
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not long" $(ARGS)

test-long: .venv/ready ## run the tests that take minutes: tutorials, commands of long pages, faults
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long $(ARGS)

coverage: .venv/ready ## run all tests and measure what they cover, which takes half as long again
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term --cov-fail-under=90 $(ARGS)

test-postgres: .venv/ready ## run the tests of searches that share a PostgreSQL server, which must be installed
	$(BIN)/python -m pytest tests/sweep/test_postgres.py -rs $(ARGS)

lint: .venv/ready ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: .venv/ready ## validate every shipped config
	$(BIN)/attnpred check

docs: .venv/ready ## build the site in build/docs, which must give no warning
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	@echo build/docs/index.html

siege: .venv/ready ## try 20,000 hostile and malformed inputs, in an hour at most (ARGS="--kind tables --seconds 600 --seed 3")
	$(BIN)/python -m pip install --quiet --editable '.[siege]'
	$(BIN)/python -m tests.siege $(ARGS)

audit: .venv/ready ## ask whether holes are known in the packages of .venv (3: nobody could be asked)
	$(BIN)/python -m pip install --quiet --editable '.[audit]'
	$(BIN)/python -m scripts.audit

bench: .venv/ready ## measure speed against peers; writes the table of docs/benchmarks.md (ARGS="--only start")
	$(BIN)/python -m pip install --quiet --editable '.[bench,minilm]'
	$(BIN)/python -m scripts.bench $(ARGS)

tensorboard: .venv/ready ## show the curves of all runs
	$(BIN)/tensorboard --logdir outputs

clean: ## remove .venv and caches; runs in outputs stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

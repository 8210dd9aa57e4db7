# Everything runs from here with python3 (3.11 to 3.13), make and a package index. `make help` lists what there is.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
KAFKA_JARS := .foquale/kafka-jars
SETUP := .venv/.foquale-setup

.DEFAULT_GOAL := help
.PHONY: help setup demo up test chaos bench check lint format types contracts docs kafka-jars clean moved

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## Make .venv from the lock file; quick when nothing changed

# The stamp holds the folder's path: scripts in .venv name it, so a moved folder is set up again.
ifneq ($(shell cat $(SETUP) 2>/dev/null),$(CURDIR))
$(SETUP): moved
endif

$(SETUP): pyproject.toml uv.lock deploy/bootstrap.py
	@if [ -e $(SETUP) ] && [ "$$(cat $(SETUP))" != "$(CURDIR)" ]; then rm -rf .venv .foquale/tools; fi
	@$(PYTHON) deploy/bootstrap.py
	@printf '%s' "$(CURDIR)" > $@

demo: setup ## Start everything, play a campaign, show the indicators (ONCE=1: then end)
	@exec $(BIN)/foquale demo $(ARGS)

up: setup ## Start everything on this machine and keep it running
	@exec $(BIN)/foquale up $(ARGS)

test: setup ## Run all tests that need no Docker (ARGS="-k name" for some)
	@exec $(BIN)/pytest -m "not docker" $(ARGS)

chaos: setup kafka-jars ## Kill and pause everything under load, then prove that nothing was lost or doubled (ARGS="--faults 12")
	@exec $(BIN)/python -m tests.chaos $(ARGS)

bench: setup kafka-jars ## Measure everything, beside other ways of doing it; 15 minutes at most (ARGS="--quick", ARGS="--only projection")
	@exec $(BIN)/python -m tests.bench $(ARGS)

check: lint types contracts ## lint, types and contracts

lint: setup ## Check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Put the code in its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## Check types
	@$(BIN)/mypy services shared deploy tests

contracts: setup ## Check who may import whom
	@$(BIN)/lint-imports --no-logo

docs: setup ## Write the documents that follow from the code (docs/asyncapi.yaml, events.md, errors.md, openapi/)
	@$(BIN)/python -m deploy.docs

kafka-jars: $(KAFKA_JARS)/.complete ## Fetch Apache Kafka's server (needs Maven), for FOQUALE_KAFKA=apache make test

$(KAFKA_JARS)/.complete: deploy/local/kafka/pom.xml
	@command -v mvn >/dev/null || { echo "kafka-jars: Maven is needed (Debian, Ubuntu: apt-get install maven)" >&2; exit 1; }
	@rm -rf $(KAFKA_JARS)
	mvn --batch-mode --quiet --file $< dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(KAFKA_JARS)
	@touch $@

clean: ## Remove what setup, tests and checks made; the data in .foquale stays
	rm -rf .venv .foquale/tools .foquale/requirements.txt $(KAFKA_JARS) dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find services shared deploy tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Every target works in a clean clone with python3, Node >= 20 and make. What they run are plain commands (README has
# them for machines without make); `make -n TARGET` shows them.

PYTHON := .venv/bin/python

# In `make test`: quick tests without processes and sockets first.
UNIT := $(wildcard tests/unit)
TESTS := $(UNIT) $(filter-out $(UNIT) %/__pycache__,$(patsubst %/,%,$(sort $(wildcard tests/*/)))) $(wildcard tests/test_*.py)

.DEFAULT_GOAL := help
.PHONY: help setup dev demo test check format lock clean bench-latency bench-start

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 	\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## make .venv and install Azurite, where a lock file has changed
	@./localdev/setup.sh

dev: setup ## run storage, events and the functions host until Ctrl-C (ports: FUNCTIONS_PORT, BLOB_PORT, ...)
	@$(PYTHON) -m localdev.up $(ARGS)

demo: setup ## send generated images through a running `make dev` (ARGS="--images 100 --rate 20")
	@$(PYTHON) -m localdev.demo $(ARGS)

test: setup ## run all tests (ARGS="-k name")
	@$(PYTHON) -m pytest -q $(TESTS) $(ARGS)

check: setup ## check style, format and types
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy

format: setup ## repair style and format
	@$(PYTHON) -m ruff check --fix
	@$(PYTHON) -m ruff format

LOCK = "$$uv" pip compile --quiet --python-version 3.13 --no-header --no-annotate pyproject.toml

lock: ## compile requirements.txt and requirements-dev.txt from pyproject.toml
	@uv=uv; uv --version >/dev/null 2>&1 || { uv=.tools/bin/uv; $(MAKE) --no-print-directory $$uv; }; \
	$(LOCK) -o requirements.txt && $(LOCK) --group dev -o requirements-dev.txt

.tools/bin/uv:
	@python3 -m venv .tools
	@.tools/bin/python -m pip install --quiet "$$(grep -o 'uv==[0-9.]*' localdev/setup.sh)"

clean: ## remove what was generated: environments, caches, the local storage and its blobs
	@rm -rf .venv .tools .local localdev/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

bench-latency: setup ## measure upload -> held poll answered, over 50 uploads
	@$(PYTHON) -m bench.upload_latency $(ARGS)

bench-start: ## measure `make dev` to ready in a fresh clone, cold and warm (ARGS=--no-caches)
	@python3 bench/start_time.py $(ARGS)

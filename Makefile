# Every target works in a clean clone with python3, Node >= 20 and make. What they run are plain commands (README has
# them for machines without make); `make -n TARGET` shows them.

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest -q

# `make quick` runs the tests of the rooms and those of the project; they also come first in `make test`.
QUICK := $(patsubst shared/%/__init__.py,tests/%,$(wildcard shared/*/__init__.py)) $(wildcard tests/test_*.py) tests/project
# Half of these, run beside the others; one in which nothing is chosen by ARGS (exit code 5) has not failed.
QUICK_BESIDE := tests/reconciling tests/watching tests/writing
TESTS := $(QUICK) $(filter-out $(QUICK) %/__pycache__,$(patsubst %/,%,$(sort $(wildcard tests/*/))))

# CI runs these parts side by side (`make test PART=client`); what no other part has is in `rest`.
PART_consumers := tests/client/test_consumers.py
PART_client := $(filter-out $(PART_consumers),$(wildcard tests/client/test_*.py))
PART_stack := tests/e2e tests/intermediaries tests/protocol
PART_rest := $(filter-out tests/client $(PART_stack),$(TESTS))

# Says where Chromium is, installs it where that is possible, or says how to.
WITH_CHROMIUM := CHROMIUM_PATH=$$(./localdev/chromium.sh) && export CHROMIUM_PATH

.DEFAULT_GOAL := help
.PHONY: help setup setup-python client dev demo ops test quick simulate mutants mutate test-client test-consumers chaos fuzz check check-infra infra-snapshots format lock clean
.PHONY: bench-cases bench-readme bench-page bench-idle bench-intermediaries bench-write bench-writers bench-quarantine bench-reconcile bench-serve bench-compare soak

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 	\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## make .venv, install Azurite, build the live page, where a lock file or a source has changed
	@./localdev/setup.sh

setup-python:
	@./localdev/setup.sh python

client: ## install what the client's checks and tests need, where its lock file has changed
	@./client/setup.sh

dev: setup ## run storage, events and the functions host until Ctrl-C (ports: FUNCTIONS_PORT, BLOB_PORT, ...)
	@$(PYTHON) -m localdev.up $(ARGS)

demo: setup ## send generated images through a running `make dev` (ARGS="--images 100 --rate 20")
	@$(PYTHON) -m localdev.demo $(ARGS)

ops: setup-python ## operator's command line, docs/operations.md (ARGS="status")
	@$(PYTHON) -m ops $(ARGS)

# Most tests of a stack or a browser wait: beside the others they take little more time than alone.
test: setup client ## run all tests, the client's and the page's in Chromium too (ARGS="-k name": one after the other)
ifeq ($(PART)$(ARGS),)
	@mkdir -p .local; failed=0; \
	$(PYTEST) $(PART_stack) >.local/test-stack.log 2>&1 & stack=$$!; \
	$(PYTEST) $(PART_client) $(PART_consumers) >.local/test-client.log 2>&1 & client=$$!; \
	trap 'kill $$stack $$client' INT TERM; \
	$(PYTEST) $(PART_rest) || failed=1; \
	wait $$stack || failed=1; wait $$client || failed=1; \
	cat .local/test-stack.log .local/test-client.log; \
	exit $$failed
else
	@$(PYTEST) $(if $(PART),$(PART_$(PART)),$(TESTS)) $(ARGS)
endif

quick: setup-python ## run what needs Python only, in a minute: tests of the rooms and the project, 50 simulator seeds (ARGS="-k name")
	@mkdir -p .local; failed=0; \
	$(PYTHON) -m tests.simulation --seeds 50 --jobs 1 & simulated=$$!; \
	$(PYTEST) -m "not azurite" $(filter $(QUICK_BESIDE),$(QUICK)) $(ARGS) >.local/quick.log 2>&1 & beside=$$!; \
	trap 'kill $$simulated $$beside' INT TERM; \
	$(PYTEST) -m "not azurite" $(filter-out $(QUICK_BESIDE),$(QUICK)) $(ARGS) || [ $$? = 5 ] || failed=1; \
	wait $$beside || [ $$? = 5 ] || failed=1; cat .local/quick.log; \
	wait $$simulated && exit $$failed

simulate: setup ## run the deterministic simulator over SEEDS=1000 seeds (ARGS="--start 7 --scenario loss")
	@$(PYTHON) -m tests.simulation --seeds $(or $(SEEDS),1000) $(ARGS)

mutants: setup ## break the code in every way of the catalogue; the simulator must notice each (ARGS="--only NAME")
	@$(PYTHON) -m tests.simulation.mutants $(ARGS)

mutate: setup-python ## make 400 small wrong changes by machine; `make quick` must notice them (ARGS="--seed 1 --sample 400")
	@$(PYTHON) -m tests.mutation $(ARGS)

test-client: setup client ## run the client's checks and tests with their own output: core, React Native, real stack, Chromium
	@cd client && npm run --silent check
	@cd client && npm run --silent test:core
	@cd client && npm run --silent test:native
	@$(WITH_CHROMIUM) && cd client && npm run --silent test:stack

test-consumers: setup client ## pack the client, make apps of nine kinds with it, build them and see the number (4 minutes)
	@$(WITH_CHROMIUM) && cd client && CONSUMERS=all npm run --silent test:consumers

chaos: setup ## run the chaos, outage and recount tests in full size: 2,000 images, a minute without storage (CHAOS_SEED=n)
	@CHAOS=full OUTAGE_SECONDS=60 $(PYTHON) -m pytest -q -s tests/e2e/test_chaos.py tests/e2e/test_outage.py tests/e2e/test_recount.py $(ARGS)

fuzz: setup ## send 20,000 made-up requests and events, with made-up tokens: no 5xx, no growth
	@FUZZ=20000 $(PYTHON) -m pytest -q tests/security/test_fuzz.py $(ARGS)

check: setup client ## check style, format, types, scripts and infra/
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy
	@.venv/bin/shellcheck client/*.sh infra/hooks/*.sh localdev/*.sh .ci/run
	@PYTHONPATH=. .venv/bin/lint-imports
	@$(PYTHON) -m infra.checks
	@cd client && npm run --silent check

check-infra: setup ## check infra/ without Azure: Bicep's own compiler, snapshots, settings, limits, filters, roles (docs/deployment.md)
	@$(PYTHON) -m infra.checks

infra-snapshots: setup ## write anew what the cases of infra/cases would deploy; the diff shows what a change does
	@$(PYTHON) -m infra.checks --write

format: setup ## repair style and format
	@$(PYTHON) -m ruff check --fix
	@$(PYTHON) -m ruff format

LOCK = "$$uv" pip compile --quiet --python-version 3.13 --no-header --no-annotate pyproject.toml

# The platform's remote build runs `pip install --prefer-binary -r requirements.txt --target=…`, or the same with uv, and
# names nothing else to install (microsoft/Oryx, PythonBashBuildSnippet.sh.tpl): both check the hashes that a file has.
lock: ## compile requirements.txt (with hashes) and requirements-dev.txt from pyproject.toml
	@uv=uv; uv --version >/dev/null 2>&1 || { uv=.tools/bin/uv; $(MAKE) --no-print-directory $$uv; }; \
	$(LOCK) --generate-hashes -o requirements.txt && $(LOCK) --group dev -o requirements-dev.txt

.tools/bin/uv:
	@python3 -m venv .tools
	@.tools/bin/python -m pip install --quiet "$$(grep -o 'uv==[0-9.]*' localdev/setup.sh)"

clean: ## remove what was generated: environments, caches, the local storage and its blobs
	@rm -rf .venv .tools .local client/dist client/demo/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . \( -name node_modules -o -name __pycache__ \) -type d -prune -exec rm -rf {} +

bench-readme: setup ## go through README's commands in a fresh clone, with the time that each takes (ARGS=--all, --no-caches)
	@$(PYTHON) -m bench.starting.readme $(ARGS)

bench-page: setup client ## measure upload -> changed number on the page in Chromium, on long poll and on SSE (UPLOADS=20)
	@$(WITH_CHROMIUM) && cd client && npm run --silent bench:page

bench-idle: setup client ## measure what an idle long poll costs: requests in two real minutes
	@cd client && npm run --silent bench:idle

bench-intermediaries: setup client ## measure the client behind nginx and Varnish, kind and unkind, over a quiet minute
	@INTERMEDIARIES_SECONDS=60 $(PYTHON) -m pytest -q -s tests/intermediaries $(ARGS)

bench-writers: setup ## measure 1 to 100 instances at one ledger, in virtual time (ARGS="--only killed"; 10 minutes)
	@$(PYTHON) -m bench.writing.writers $(ARGS)

bench-write: setup ## measure the write path: against a naive counter, cold, at rest, contended
	@$(PYTHON) -m bench.writing.throughput $(ARGS)

bench-cases: setup ## measure cases: following a thousand of them, wakes, the write path with and without
	@$(PYTHON) -m bench.serving.cases $(ARGS)

bench-quarantine: setup ## measure deliveries of 20,000 objects that are no events, equal and distinct: time and memory
	@$(PYTHON) -m bench.writing.quarantine $(ARGS)

bench-reconcile: setup ## measure a reconciliation: against a bare listing, under traffic, a million names
	@$(PYTHON) -m bench.reconciling.passes $(ARGS)

bench-serve: setup client ## measure long poll and SSE at scale against the floor, Nchan and an endpoint that lists
	@$(PYTHON) -m bench.serving.scale $(ARGS)

bench-compare: setup ## compare long poll, SSE and polling, with tables and pictures: a quarter of an hour (ARGS=--redraw)
	@$(PYTHON) -m bench.comparing.comparison $(ARGS)

soak: setup ## 100,000 requests with half of the clients vanishing mid-wait: memory, tasks, departures
	@$(PYTHON) -m bench.serving.soak $(ARGS)

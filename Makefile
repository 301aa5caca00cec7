# Needs only Python >= 3.11 and make. Everything else is fetched into .venv and .cache.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint bench faults graph dashboards lock sbom dist clean
VENV := .venv
BOOT := .cache/boot
# The first of these that is >= 3.11; choose another with `make PYTHON=python3.12 ...`
# Above 3.14 only where nothing else is there: libraries that are built have no wheels for a Python that new.
PYTHON ?= $(shell for below in 15 99; do for p in python3 python3.14 python3.13 python3.12 python3.11 python; do command -v $$p >/dev/null 2>&1 && $$p -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, $$below))" 2>/dev/null && { echo $$p; break 2; }; done; done)
# By its name alone: make would take a path with a space in it for two files.
UV := $(shell command -v uv >/dev/null 2>&1 && echo uv || echo $(BOOT)/bin/uv)
UV_FILE := $(filter-out uv,$(UV))
UV_VERSION := 0.13.9
# The machine's Python is the contract: uv must never fetch an interpreter.
export UV_PYTHON_DOWNLOADS := never
# The machine's own certificates and package index, as pip uses them. What pip's files say uv is told below.
export UV_SYSTEM_CERTS := 1
# Compiled once, here. Where PYTHONDONTWRITEBYTECODE is set, as in many containers, every process would compile anew.
export UV_COMPILE_BYTECODE := 1
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
# A home that cannot be written, as of a container's user without one: packages and jars are kept in the checkout.
CACHES := $(or $(XDG_CACHE_HOME),$(if $(HOME),$(HOME)/.cache))
ifeq ($(shell { test -d "$(CACHES)" || mkdir -p "$(CACHES)"; } 2>/dev/null && test -w "$(CACHES)" && echo yes),)
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export PUSHCAST_CACHE_DIR ?= $(CURDIR)/.cache/pushcast
endif
STAMP := $(VENV)/.ready
# Of a Python that is gone since, or of a checkout that was moved: its programs name the old path.
STALE := $(shell test -e $(STAMP) || exit 0; test -x $(VENV)/bin/python && \
	{ test ! -s $(STAMP) || test "$$(cat $(STAMP))" = "$(CURDIR)"; } || echo stale)
ifdef STALE
.PHONY: $(STAMP)
endif
PYTEST := $(VENV)/bin/python -m pytest
# Tests at a time. Each worker has a Kafka, folders and ports of its own; a file stays with one worker, as its tests may
# share what they start.
WORKERS ?= 2
BROKERLESS := tests/laws tests/unit
STORIES := tests/faults/test_faults.py
BESIDE = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
MEASURING = $(BESIDE) $(BROKERLESS) --cov --cov-report=term:skip-covered

help:
	@echo "make demo   the main job end to end on a real Kafka; ARGS=\"--devices 2000 --output json\""
	@echo "make test   all tests, two at a time, WORKERS=1 for one; ARGS=\"-k ledger\" picks some"
	@echo "make coverage  laws, and unit tests with their branch coverage; fails below the threshold"
	@echo "make lint   ruff, mypy, import-linter, codespell, deptry, yamllint"
	@echo "make bench  ARGS=\"plan --shape alert\"; see docs/benchmarks.md"
	@echo "make faults kills, zombies, outages, poison and more under load; ONLY=zombie; see docs/faults.md"
	@echo "make graph  writes topology/GRAPH.md, docs/asyncapi.yaml and docs/openapi.json again"
	@echo "make dashboards  writes deploy/grafana and deploy/prometheus again"
	@echo "make dist   a wheel and the sources, in dist/"
	@echo "make sbom   what a release consists of, as CycloneDX, in dist/; VERSION=1.2.3"
	@echo "make lock   resolves requirements/*.txt again"

$(BOOT)/bin/uv:
	@test -n "$(PYTHON)" || { echo "Pushcast needs Python 3.11 or newer on the PATH; found: $$(python3 --version 2>&1)" >&2; exit 1; }
	@echo "==> fetching uv $(UV_VERSION) with pip" >&2
	@$(PYTHON) -m venv $(BOOT) || { echo "python3 -m venv failed: install your system's python3-venv package, or a Python from python.org" >&2; rm -rf $(BOOT); exit 1; }
	@$(BOOT)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) >&2

$(STAMP): pyproject.toml requirements/dev.txt | $(UV_FILE)
	@test -n "$(PYTHON)" || { echo "Pushcast needs Python 3.11 or newer on the PATH; found: $$(python3 --version 2>&1)" >&2; exit 1; }
	@echo "==> installing the locked environment into $(VENV)" >&2
	@test -z "$(STALE)" && test -x $(VENV)/bin/python || $(UV) venv --quiet --clear --python $(PYTHON) $(VENV) >&2
	@ask="-m pip config get global.index-url"; \
	index="$$({ $(BOOT)/bin/python $$ask || $(PYTHON) $$ask; } 2>/dev/null)"; \
	if [ -n "$$index" ] && [ -z "$$UV_DEFAULT_INDEX" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	$(UV) pip sync --quiet --python $(VENV)/bin/python --require-hashes requirements/dev.txt >&2
	@$(UV) pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable . >&2
	@$(VENV)/bin/python -m compileall -q -j 0 app >&2
	@echo "$(CURDIR)" > $@

demo: $(STAMP)
	@$(VENV)/bin/pushcast demo $(ARGS)

# Without ARGS in three parts, all of them whatever fails: unit tests are measured, and the stories of
# tests/faults keep every core busy by themselves. With ARGS one run, one test at a time.
# What failed can be run again with ARGS=--last-failed, unless a part broke off: then nobody knows what would have failed.
test: $(STAMP)
ifdef ARGS
	@$(PYTEST) $(ARGS)
else
	@worst=0; failed=; \
	part() { \
	    echo "==> tests, part $$1 of 3: $$2"; number=$$1; shift 2; code=0; $(PYTEST) "$$@" || code=$$?; \
	    if [ $$code -gt 0 ]; then failed="$$failed $$number"; fi; \
	    if [ $$code -gt $$worst ]; then worst=$$code; fi; \
	}; \
	part 1 "laws, and unit tests with the branches that they reach" $(MEASURING); \
	part 2 "on a real Kafka, in a browser, against the simulators" --verbose $(BESIDE) $(addprefix --ignore=,$(BROKERLESS) $(STORIES)) tests; \
	part 3 "kills, zombies, outages and poison under load" --verbose $(STORIES); \
	if [ $$worst -gt 1 ]; then rm -f .pytest_cache/v/cache/lastfailed; echo "==> a part of the tests broke off (exit code $$worst)" >&2; fi; \
	if [ $$worst -gt 0 ]; then echo "==> tests failed in part$$failed of 3" >&2; exit 1; fi; \
	echo "==> all tests passed"
endif

# The branches that unit tests reach; the threshold is in pyproject.toml. Laws run beside them, unmeasured.
coverage: $(STAMP)
	@$(PYTEST) $(MEASURING) $(ARGS)

lint: $(STAMP)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/codespell
	@$(VENV)/bin/deptry app tests .ci
	@$(VENV)/bin/yamllint .

bench: $(STAMP)
	@$(VENV)/bin/pushcast bench $(ARGS)

# One scenario with ONLY=zombie; ARGS="--seed 3 --cycles 5"; `make faults ARGS=--help`.
faults: $(STAMP)
	@PYTHONPATH=tests $(VENV)/bin/python -m faults $(addprefix --only ,$(ONLY)) $(ARGS)

graph: $(STAMP)
	@$(VENV)/bin/pushcast topology graph --write
	@$(VENV)/bin/python -m pushcast.kafka.topics.asyncapi > docs/asyncapi.yaml
	@$(VENV)/bin/python -m pushcast.gateway.document_file > docs/openapi.json

dashboards: $(STAMP)
	@$(VENV)/bin/python -m pushcast.observe.dashboards

# No index URL may land in the lock: --no-emit-index-url, and hashes name the files.
lock: | $(UV_FILE)
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements/base.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --all-extras --constraint requirements/base.txt pyproject.toml -o requirements/extras.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group dev --group sdks pyproject.toml requirements/build.in -o requirements/dev.txt

# A wheel and the sources, built with the locked tools.
dist: | $(UV_FILE)
	@$(UV) build --quiet --build-constraints requirements/dev.txt --require-hashes --out-dir dist

# Needs no environment: the locks say it all.
VERSION ?= $(shell git describe --tags 2>/dev/null || echo 0.1.0)
sbom:
	@mkdir -p dist
	@$(PYTHON) .ci/sbom.py $(VERSION:v%=%) > dist/pushcast-$(VERSION:v%=%).cdx.json

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage

# Plenum. Everything below needs Python 3.11 or newer and nothing else; every target may be called again at any time.
#
#   make run     set up .venv, build the pages, start the demo evening      (ARGS="..." goes to `plenum serve`)
#   make test    install what the tests need, then lint, types and all tests: what CI runs
#   make check   lint, types and the fast tests                             (ARGS="..." goes to pytest, here and above)
#   make search  the property tests with examples that nobody has tried yet
#   make bench   measure                                                    (ARGS="..." goes to the benchmark)
#   make build   build the pages, catalogs and the C loop into the working tree
#   make lock    write the lock files anew after a change in pyproject.toml (ARGS="--upgrade" for newer versions)
#   make clean   remove everything that the above have made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
FAST := -m "not slow and not browser"

.PHONY: run test check search bench build lock clean lint types types-python types-browser
.DEFAULT_GOAL := run
.DELETE_ON_ERROR:

run: build
	@echo "plenum: starting the demo evening"
	@$(BIN)/plenum serve --demo $(ARGS)

build: $(VENV)/.installed
	@$(BIN)/python hatch_build.py

# Everything runs even if the lint fails, so that one run tells all; pytest comes last. Much of it is waiting for processes and
# timers, so that two files at a time take little more than half as long.
test: $(VENV)/.tools
	@$(PYTHON) tests/prerequisites.py tests
	@$(BIN)/python hatch_build.py --tests
	@failed=0; \
	$(MAKE) --no-print-directory lint types --keep-going VENV=$(VENV) || failed=1; \
	echo "pytest: all tests"; $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS) || failed=1; \
	exit $$failed

check: lint types
	@echo "pytest: the fast tests"
	@$(BIN)/python -m pytest $(FAST) $(ARGS)

# What it finds becomes an `@example` of the test.
search: $(VENV)/.tools
	@echo "pytest: the property tests, with new examples"
	@$(BIN)/python -m pytest $$(grep -rlE --include='*.py' "@given|RuleBasedStateMachine" tests) --hypothesis-profile=search $(ARGS)

lint: $(VENV)/.tools
	@echo "ruff: lint"
	@$(BIN)/ruff check

types: types-python types-browser

types-python: $(VENV)/.tools
	@echo "mypy: types of the Python files"
	@$(BIN)/mypy

types-browser: $(VENV)/.tools
	@$(BIN)/python hatch_build.py --tests
	@echo "tsc: types of the browser modules"
	@$(BIN)/node frontend/node_modules/typescript/bin/tsc --project frontend/jsconfig.json
	@$(BIN)/node frontend/node_modules/typescript/bin/tsc --project frontend/jsconfig.worker.json

bench: $(VENV)/.tools
	@$(BIN)/python hatch_build.py
	@echo "bench: measuring"
	@$(BIN)/python -m tests.bench $(ARGS)

$(VENV)/.created:
	@$(PYTHON) tests/prerequisites.py venv
	@echo "$(VENV): creating with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created requirements.lock requirements-build.lock pyproject.toml
	@echo "$(VENV): installing Plenum's requirements from the lock files"
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@$(BIN)/python hatch_build.py
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.tools: $(VENV)/.installed requirements-test.lock
	@echo "$(VENV): installing the tools of the tests from requirements-test.lock"
	@$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@

# No registry, no path of this machine: a lock file names versions and hashes, the reader's own pip knows where to get them.
COMPILE = $(VENV)/lock/bin/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options pyproject.toml $(ARGS)

lock: $(VENV)/.created
	@echo "lock: resolving"
	@$(PYTHON) -m venv $(VENV)/lock
	@$(VENV)/lock/bin/pip install -qq --disable-pip-version-check pip-tools
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --only-build-deps --build-deps-for wheel --build-deps-for editable --output-file requirements-build.lock
	@$(COMPILE) --extra test --constraint requirements.lock --constraint requirements-build.lock \
		--output-file requirements-test.lock

clean:
	@echo "clean: removing $(VENV) and everything built"
	@rm -rf $(VENV) build dist frontend/node_modules frontend/static/vendor
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@rm -f frontend/locale/*/LC_MESSAGES/*.mo live/_fanout.*.so
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

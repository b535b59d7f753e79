# Two commands do all the set-up: `make run` and `make test`.
# Another Python gets an environment of its own: make test PYTHON=python3.12
PYTHON ?= python3
VENV   := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
CURE   := $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv
# Other tools make environments without pip.
HAVE_PIP = $(BIN)/python -m pip --version >/dev/null 2>&1 || \
    $(BIN)/python -m ensurepip --upgrade --default-pip >/dev/null 2>&1 || { echo "$(CURE)" >&2; exit 1; }
# Holds the process that installs. Left behind by one that was interrupted, it means packages that look whole and are
# not, which no later upgrade could remove: then the environment is made anew.
BEGUN  := $(VENV)/.begun
ifneq ($(shell test -e $(BEGUN) && { kill -0 "$$(cat $(BEGUN))" || echo dead; } 2>/dev/null),)
$(shell rm -rf $(VENV))
endif
BEGIN   = test ! -e $(BEGUN) || \
    { echo "process $$(cat $(BEGUN)) is installing; wait for it, or remove $(BEGUN) if that is no make" >&2; exit 1; }; \
    mkdir -p $(VENV) && echo $$PPID >$(BEGUN)
END     = rm -f $(BEGUN)
LOCK   := uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url -q

.PHONY: run install test scenarios test-fast test-slow programs lint bench bench-decisions docs requirements clean

run: $(VENV)/.run
	@$(BIN)/openclaw run --demo-if-no-key

# Only the set-up: .venv/bin/openclaw is the command then.
install: $(VENV)/.run

test: lint scenarios test-fast test-slow

# What is expected of the default project itself.
scenarios: $(VENV)/.run
	$(BIN)/openclaw validate --strict
	$(BIN)/openclaw test

test-fast: $(VENV)/.dev programs
	$(BIN)/python -m pytest -n auto

test-slow: $(VENV)/.dev programs
	$(BIN)/python -m pytest -n auto -m slow --timeout 1500

# A browser for the web page, strace for disk calls and bubblewrap for the sandbox, which pip cannot install. Where they
# are missing the tests that need them are skipped and say so, and so are those that need faketime; only a throw-away
# machine (CI is set) is given the three.
programs:
	@missing=; for program in chromium strace; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	command -v bwrap >/dev/null || missing="$$missing bubblewrap"; \
	if [ -n "$$missing" ] && [ -n "$$CI" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing$$missing" >&2; \
	    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null || true; \
	fi

lint: $(VENV)/.dev
	$(BIN)/ruff check runtime tests scripts desk_tools.py
	$(BIN)/mypy
	$(BIN)/mypy --config-file= --strict scripts

# Each script of tests/bench prints its own figures and ratios.
bench: $(VENV)/.dev
	@cd tests && for script in bench/[!_]*.py; do \
	    echo "$$script"; ../$(BIN)/python -m bench.$$(basename $$script .py) || exit 1; done

# How right and how quick decisions are; CORPORA=FOLDER adds the rows of a folder of one's own.
bench-decisions: $(VENV)/.dev
	@cd tests && ../$(BIN)/python -m bench.decisions $(if $(CORPORA),--corpora $(abspath $(CORPORA))) $(if $(EDITS),--edits $(EDITS))

# Writes the pages that are derived from the code; a test fails when they are out of date.
docs: $(VENV)/.dev
	$(BIN)/python scripts/write_docs.py

# The hashed requirements pin every package, and the build backend, without naming an index.
$(VENV)/.run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed, and $(PYTHON) is not; try: make run PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV) (once; about a minute)" >&2
	@$(BEGIN)
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV) || { echo "$(CURE)" >&2; exit 1; }
	@$(HAVE_PIP)
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q runtime  # as pip does for packages; an environment may forbid it later
	@touch $@ && $(END)

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	@echo "Installing what the tests need into $(VENV) (once)" >&2
	@$(BEGIN)
	@$(HAVE_PIP)
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@ && $(END)

# Needs uv; run after changing the dependencies in pyproject.toml.
requirements:
	$(LOCK) --generate-hashes --upgrade pyproject.toml requirements-build.in -o requirements.txt
	$(LOCK) --generate-hashes --extra otel -c requirements.txt pyproject.toml requirements-build.in \
	    -o requirements-otel.txt
	$(LOCK) --generate-hashes --extra otel --group dev -c requirements-otel.txt pyproject.toml requirements-build.in \
	    -o requirements-dev.txt
	$(LOCK) --all-extras -c requirements-dev.txt pyproject.toml -o constraints.txt

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks __pycache__
	find runtime scripts tests -name __pycache__ -prune -exec rm -rf {} +

# make demo        the page, on http://127.0.0.1:7860 or the next free port; make demo PORT=8000 for a port of your own
# make test        style, types of the viewer's script where node is at hand, and all tests
# make test-quick  style, and the tests that need neither a browser nor long
# Each sets up .venv the first time and starts in seconds afterwards.

PYTHON ?= python3
# One release inside pyproject.toml's range, before all else: the range alone would bring the newest build, which on Linux
# may come with gigabytes of GPU libraries. Where another release is at hand for the CPU: make TORCH=torch==2.11.0
TORCH ?= torch==2.13.0
# What the tests drive the page with; any Chrome or Chromium will do.
export CHROMIUM ?= /usr/bin/chromium

# Two files of tests at a time: while a page waits, the other works.
SIDE_BY_SIDE := -n 2 --dist loadfile

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-quick types browser clean

demo: .venv/.page
	$(BIN)/python -u app.py $(if $(PORT),--port $(PORT))

test: .venv/.dev types browser
	$(BIN)/ruff check .
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-quick: .venv/.dev
	$(BIN)/ruff check .
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m 'not browser and not slow'

# An environment that was left half made is made anew.
.venv/.page: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python's venv module is needed (Debian: python3-venv)."; exit 1; }
	@echo "Setting up .venv: some minutes the first time."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(PIP) '$(TORCH)' || { echo "$(TORCH) cannot be installed: it needs a network, and a Python it has a build for" \
		"(this is $$($(BIN)/python --version); another: make clean, make PYTHON=/path/to/python3.12)."; exit 1; }
	$(PIP) -e '.[page,figures]'
	@touch $@

.venv/.dev: .venv/.page
	$(PIP) -e '.[page,figures,dev]'
	@touch $@

# npx keeps the compiler in its own cache, outside this folder.
TSC := npx --yes --package typescript@5.9.3 tsc
types:
	@if ! command -v npx >/dev/null; then echo "The viewer's types are not checked: there is no node here."; \
	elif ! $(TSC) --version >/dev/null 2>&1; then echo "The viewer's types are not checked: npm gives no typescript."; \
	else $(TSC) --project tests/viewer_types; fi

browser:
	@test -x '$(CHROMIUM)' || { test '$(CHROMIUM)' = /usr/bin/chromium && command -v apt-get >/dev/null && \
		test "$$(id -u)" = 0 && echo "Installing the browser chromium." && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
		{ echo "The tests need a browser: apt-get install chromium as root, or make test CHROMIUM=/path/to/chrome"; exit 1; }

clean:
	rm -rf .venv

# make demo   the page, on http://127.0.0.1:$(PORT)
# make test   style and tests
# Each sets up its own .venv the first time and starts in seconds afterwards.

PYTHON ?= python3
PORT ?= 7860
BIN := .venv/bin
# The newest release in our range whose plain wheel is a CPU build here; later ones bring gigabytes of GPU libraries.
TORCH ?= torch==2.13.0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test browser clean

demo: .venv/.page
	$(BIN)/python app.py --port $(PORT)

test: .venv/.dev browser
	$(BIN)/ruff check .
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest

.venv/.page: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python's venv module is needed (Debian: python3-venv)."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) '$(TORCH)'
	$(PIP) -e '.[page,figures]'
	touch $@

.venv/.dev: .venv/.page
	$(PIP) -e '.[page,figures,dev]'
	touch $@

# The page is tested in Debian's chromium.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
		{ echo "The tests drive the browser chromium: install it (as root: apt-get install chromium)."; exit 1; }

clean:
	rm -rf .venv

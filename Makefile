# Every target sets up its own virtual environment when there is none.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
JOBS   ?= 2

.PHONY: setup test check demo docs docs-pictures android-runner lock clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python; install Python 3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "error: $(PYTHON) is not Python 3.11; run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,jax,dev]'
	touch $@

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n $(JOBS) -m 'not slow'

demo: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" ./demo.sh $(DEMO)

# The pages of docs/commands, out of the command line itself.
docs: $(READY)
	$(BIN)/python docs/command_pages.py

# docs/pictures, by doing the tutorial's first steps; other versions of libraries may give other pixels.
docs-pictures: $(READY)
	$(BIN)/python docs/tutorial_pictures.py

# What `edgepose evaluate --target android` puts on a phone; needs a JDK and Maven.
android-runner: $(READY)
	$(BIN)/python -m android_harness.runner_build

# Pin what is installed now, after a deliberate upgrade.
lock: $(READY)
	{ echo '# The versions that the figures were measured with, and that work together. Written by `make lock`.'; \
	  $(BIN)/python -m pip freeze --exclude-editable; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV) build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Every target sets up its own virtual environment when there is none.
# The first of these that runs and is of a version that edgepose knows; a shim of a version manager may do neither.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	    $$python -c '$(KNOWN)' >/dev/null 2>&1 && { command -v $$python; break; }; done)
KNOWN   = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
TRAINS  = $(VENV)/.trains# what the demo needs, which is less
COMMA   = ,
JOBS   ?= 2
SPREAD  = -n $(JOBS) --dist loadfile --no-loadscope-reorder
CHECKED = -m 'not long' tests/test_edgepose/test_boundaries.py tests/test_declared.py tests/test_docs.py \
	  tests/test_schemas.py tests/test_edgepose/test_results.py tests/test_words.py

.PHONY: setup test test-all check lint types demo bench docs schemas docs-pictures android-runner app-test lock clean

setup: $(READY)

# $(call install,EXTRAS,HOW LONG): the package as it lies here, into the environment.
define install
	@test -n "$(PYTHON)" || { echo "error: found no Python 3.11, 3.12 or 3.13 that runs; install one," \
	  "or run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c '$(KNOWN)' 2>/dev/null \
	  || { echo "error: $(PYTHON) is not a Python 3.11, 3.12 or 3.13 that runs; give another PYTHON"; exit 1; }
	@echo "setting up $(VENV): $(2)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(1)]'
endef

$(READY): pyproject.toml constraints.txt
	$(call install,train$(COMMA)jax$(COMMA)dev,some minutes)
	touch $(TRAINS) $@

$(TRAINS): pyproject.toml constraints.txt
	$(call install,train,a minute or two)
	touch $@

# All tests but those marked long: minutes each, and seldom broken.
test: $(READY)
	$(BIN)/python -m pytest $(SPREAD) -m 'not long'

test-all: $(READY)
	$(BIN)/python -m pytest $(SPREAD)

# What needs no network of any size: form, types, who may import what, schemas, and pages that are up to date.
check: $(READY) lint types
	$(BIN)/python -m pytest -q $(CHECKED)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

demo: $(TRAINS)
	PATH="$(abspath $(BIN)):$$PATH" ./demo.sh $(DEMO)

# All benchmarks, with JSON and a table in reports/bench; BENCH="--seconds 180 --against CHECKOUT" and the like.
bench: $(READY)
	$(BIN)/python benchmarks/bench.py $(BENCH)

# The pages of docs/commands, out of the command line itself.
docs: $(READY)
	$(BIN)/python docs/command_pages.py

# The JSON Schemas of the files that apps and other languages read, out of the records.
schemas: $(READY)
	$(BIN)/python docs/schemas.py

# docs/pictures, by doing the tutorial's first steps; other versions of libraries may give other pixels.
docs-pictures: $(READY)
	$(BIN)/python docs/tutorial_pictures.py

# What `edgepose evaluate --target android` puts on a phone; needs a JDK and Maven.
android-runner: $(READY)
	$(BIN)/python -m android_harness.runner_build

# The app's Kotlin compiled, its library's tests on this machine's Java, and the golden vectors replayed through
# it; needs a JDK and Maven, and fetches about 300 MB once.
app-test: $(READY)
	EDGEPOSE_APP_REQUIRED=1 $(BIN)/python -m pytest -q tests/test_android_harness/test_app.py

# Pin what is installed now, after a deliberate upgrade.
lock: $(READY)
	{ echo '# The versions that the figures were measured with, and that work together. Written by `make lock`.'; \
	  $(BIN)/python -m pip freeze --exclude-editable; } > constraints.txt.new
	mv constraints.txt.new constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV) build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache

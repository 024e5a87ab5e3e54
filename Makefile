# `make demo` and `make test` set up everything they need; a second run reinstalls nothing.
# Without a GPU, the far smaller CPU build of PyTorch:
#   make test PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3.11
VENV ?= .venv
PIP_FLAGS ?=
BIN = $(VENV)/bin
# What is imported is compiled then, and kept for every process that follows; all of PyTorch would
# take a quarter of a minute.
export PYTHONDONTWRITEBYTECODE =
INSTALL = $(BIN)/python -m pip install --quiet --no-compile $(PIP_FLAGS) -c constraints.txt
CORE = $(VENV)/.core
READY = $(VENV)/.installed

.PHONY: demo test coverage docs lint format types bench clean

demo: $(CORE)
	$(BIN)/pyhits demo --out demo

test: $(READY)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal

# The tests, and which lines of the package they run: slower.
coverage: $(READY)
	$(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term

# The site, with the gallery's programs run: docs/_build/html/index.html.
docs: $(READY)
	$(INSTALL) --editable ".[docs]"
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: $(READY)
	$(BIN)/ruff check --fix src tests benchmarks examples

format: $(READY)
	$(BIN)/ruff format src tests benchmarks examples

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(INSTALL) --editable ".[bench]"
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

# The demonstration needs PyHiTS and machine code alone; all else also its files, tests and styles.
$(CORE): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) torch --editable ".[fast]"
	touch $(CORE)

$(READY): $(CORE)
	$(INSTALL) --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) demo docs/_build docs/gallery docs/reference .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov

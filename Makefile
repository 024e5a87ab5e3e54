# `make demo` and `make test` set up everything they need; a second run reinstalls nothing.
# Without a GPU, the far smaller CPU build of PyTorch:
#   make test PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3.11
VENV ?= .venv
PIP_FLAGS ?=
BIN = $(VENV)/bin
CORE = $(VENV)/.core
READY = $(VENV)/.installed

.PHONY: demo test docs lint format types bench clean

demo: $(CORE)
	$(BIN)/pyhits demo --out demo

test: $(READY)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy
# Bytecode is kept, or every worker and command that they start would compile all modules anew.
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal --cov --cov-report=term

# The site, with the gallery's programs run: docs/_build/html/index.html.
docs: $(READY)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt --editable ".[docs]"
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lint: $(READY)
	$(BIN)/ruff check --fix src tests benchmarks examples

format: $(READY)
	$(BIN)/ruff format src tests benchmarks examples

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt --editable ".[bench]"
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

# The demonstration needs PyHiTS alone; all else also its files, tests and styles.
$(CORE): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt --editable .
	touch $(CORE)

$(READY): $(CORE)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt --editable ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) demo docs/_build docs/gallery docs/reference .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov

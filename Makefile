# `make demo` and `make test` do everything on a fresh machine: virtual environment, packages, run.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
OUT    ?= build/us-relief

.PHONY: demo test test-all lint bench clean

demo: $(VENV)/.run
	@$(BIN)/detente run us-relief --out $(OUT)

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or not slow"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.solve
	$(BIN)/python -m benchmarks.gradient
	$(BIN)/python -m benchmarks.robustness

$(VENV)/.run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing détente into $(VENV) (once; a minute or two) …"
	@$(PIP) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "Installing the test tools …"
	@$(PIP) -e ".[dev]"
	@touch $@

clean:
	rm -rf build .pytest_cache .hypothesis .ruff_cache

# make demo   installs into .venv and runs the STDP tutorial over two OS processes
# make test   installs the test extra and runs everything that CI runs
# make docs   writes the documentation to docs/_build/html
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint types check bench fuzz simulate chaos leaks clean

$(VENV)/.demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[plot]"
	@touch $@

$(VENV)/.test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/python tutorials/stdp.py --partitions 2 --out stdp.png

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# the three folders are one namespace package; mypy is shown them under that name
types: $(VENV)/.test
	@mkdir -p build/types/lahar
	@for part in processes compiler runtime; do ln -sfn ../../../$$part build/types/lahar/$$part; done
	MYPYPATH=build/types $(BIN)/mypy -p lahar.compiler -p lahar.runtime

check: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist worksteal

test: lint types check

.PHONY: docs
docs: $(VENV)/.test
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

bench: $(VENV)/.test
	$(BIN)/python benchmarks/step_overhead.py
	$(BIN)/python benchmarks/faults.py
	$(BIN)/python benchmarks/kernels.py

# runs until it fails or is stopped
fuzz: $(VENV)/.test
	while $(BIN)/python -m lahar.runtime.testing --count 20000 && $(BIN)/python -m pytest -m fuzz -q; do :; done

# the same, simulations only: whole networks in virtual time; a failing seed is printed and can be replayed
simulate: $(VENV)/.test
	$(BIN)/python -m lahar.runtime.testing

# real signals, exceptions and deaths at random moments, from a seed that is printed: CHAOS_SEED=17 repeats them
CHAOS_ROUNDS ?= 20
CHAOS_SEED ?= $(shell date +%s)
chaos: $(VENV)/.test
	CHAOS_ROUNDS=$(CHAOS_ROUNDS) CHAOS_SEED=$(CHAOS_SEED) $(BIN)/python -m pytest tests/chaos -q

# what a thousand networks leave behind in one interpreter
LEAK_CYCLES ?= 1000
leaks: $(VENV)/.test
	LEAK_CYCLES=$(LEAK_CYCLES) $(BIN)/python -m pytest -m leaks tests/runtime -q -s

clean:
	rm -rf $(VENV) build dist docs/_build docs/generated *.egg-info stdp.png stdp_plan.png

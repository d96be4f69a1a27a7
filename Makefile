# make demo   installs into .venv and runs the STDP tutorial over two OS processes
# make test   installs the test extra and runs everything that CI runs
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint types check bench fuzz clean

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

bench: $(VENV)/.test
	$(BIN)/python benchmarks/step_overhead.py
	$(BIN)/python benchmarks/kernels.py

# runs until it fails or is stopped
fuzz: $(VENV)/.test
	while $(BIN)/python -m pytest -m fuzz -q; do :; done

clean:
	rm -rf $(VENV) build dist *.egg-info stdp.png stdp_plan.png

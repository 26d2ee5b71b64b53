# Everything starts here. `make demo` and `make test` set up all they need.
PYTHON ?= python3
BIN := .venv/bin

# A mirror of model files and sample photos beside the checkout is used where there is one.
GROUPEMO_MODELS ?= $(abspath $(wildcard ../shared/models))
GROUPEMO_SAMPLES ?= $(abspath $(wildcard ../shared/data/photos))
ifneq ($(GROUPEMO_MODELS),)
export GROUPEMO_MODELS
endif
ifneq ($(GROUPEMO_SAMPLES),)
export GROUPEMO_SAMPLES
endif

.PHONY: help install install-train demo test test-slow test-packages test-all check crosscheck format bench bench-net coverage docs report notebooks outputs site clean

help:  ## Say what can be made.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed  ## Create .venv/ with groupemo and everything for development.

# uv takes a part of pip's time. Imports compile nothing later, so that no warning comes of it.
INSTALL := $(BIN)/python -m uv pip install --quiet --compile-bytecode --python .venv

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(INSTALL) --editable '.[dev]'
	@touch $@

install-train: .venv/installed-train  ## The same with PyTorch, for training and its tests.

.venv/installed-train: .venv/installed constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(INSTALL) --constraint constraints.txt --editable '.[dev,train]'
	@touch $@

demo: install  ## Evaluate detectors and backends on the sample photos; report in reports/demo/.
	$(BIN)/groupemo demo --labels labels/samples.csv --photos data/samples --out reports/demo

# A process a core, each with one thread: more of them would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test: install  ## Run the fast tests.
	$(PYTEST) -m 'not slow'

test-slow: install  ## Run the tests that take longer, a file a core.
	$(PYTEST) --dist loadfile -m slow

test-packages: install  ## Compare with the packages themselves, each in an environment of its own.
	$(BIN)/python tests/packages/lane.py

test-all: test test-slow test-packages  ## Run every test.

check: install  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

crosscheck: install  ## Compare every metric with independent implementations; table in reports/.
	$(BIN)/python benchmarks/crosscheck.py

format: install  ## Put the code in order.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install bench-net  ## Measure speed, size and accuracy; tables in reports/.
	$(BIN)/python benchmarks/size.py
	$(BIN)/python benchmarks/detectors.py
	$(BIN)/python benchmarks/human.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/labelling.py
	$(BIN)/python benchmarks/leaderboard.py

bench-net: install  ## Of these, what a new default net changes.
	$(BIN)/python benchmarks/framing.py
	$(BIN)/python benchmarks/backends.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/stress.py --cells 600 --photos 25
	$(BIN)/python benchmarks/speed.py

coverage: install  ## Simulate how often the intervals hold the truth; table and picture in reports/ and docs/.
	$(BIN)/python benchmarks/coverage.py

docs: install  ## Write the pages and pictures of docs/ that are made from the code.
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_figures.py
	$(BIN)/python docs/make_terms.py
	$(BIN)/python docs/make_flowcharts.py

reports/demo/manifest.json:
	$(MAKE) demo

report: install reports/demo/manifest.json  ## Write the report, reports/groupemo-report.pdf, from reports/written/ and the tables.
	$(BIN)/python -m reports.written

notebooks: install  ## Run the notebooks on fresh kernels and store what they show.
	$(BIN)/python notebooks/run.py

outputs: install  ## Run the code of docs/ and write what it prints into the pages.
	$(BIN)/python docs/run_pages.py
	$(BIN)/python docs/make_readme_picture.py

site: install  ## Build the documentation site in build/site/; a warning is an error.
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs . build/site
	@echo build/site/index.html

clean:  ## Remove what can be made again.
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis reports/demo

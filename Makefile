# The commands of this project; `make help` lists them.
SHELL := bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 3000
export BENTOML_DO_NOT_TRACK := true
export PATH := $(CURDIR)/$(BIN):$(PATH)
.DEFAULT_GOAL := all
.PHONY: all help data repro experiments plots dossier test lint format serve image dashboard demo e2e docs bench bench-evaluate bench-batch bench-serve bench-overload bench-coverage bench-figures bench-books bench-resampling bench-monitors lock clean

all: $(VENV)/.ready data repro  ## Set up, get the data, run the pipeline, show the winner
	@python -m stages.summary

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@test "$$(uname)" != Linux || PATH=$$PATH:/usr/sbin:/sbin ldconfig -p | grep -q libgomp.so.1 || apt-get install -y -qq libgomp1 || \
	  { echo "LightGBM needs OpenMP: sudo apt-get install libgomp1" >&2; exit 1; }
	@set -o pipefail; if command -v uv >/dev/null; then \
	  echo "Setting up $(VENV) from requirements/dev.txt with uv (about 250 packages)" >&2; \
	  uv venv --quiet --allow-existing --seed --python 3.11 $(VENV) && \
	  { VIRTUAL_ENV=$(VENV) uv pip install --compile-bytecode --require-hashes --requirements $< 2>&1 | sed '/^ [-+~] /d' >&2; }; \
	elif $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	  echo "Setting up $(VENV) from requirements/dev.txt with pip (about two minutes; uv would be faster)" >&2; \
	  { test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV); } && \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $< | \
	    awk '/^Collecting|^Downloading|^Installing/ { printf "\r%d packages found, %s\033[K", found += /^Collecting/, $$1; fflush() } END { print "" }' >&2; \
	else \
	  echo "Python 3.11 is needed: sudo apt-get install python3.11-venv, or install uv (https://docs.astral.sh/uv), or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-build-isolation --no-deps --editable .
	@touch $@

data: $(VENV)/.ready  ## Get the raw loan book: from the S3 remote, else by simulation
	@python -m stages.fetch

repro: $(VENV)/.ready  ## Run the stages that are out of date, dossier
	@dvc repro

experiments: $(VENV)/.ready  ## Show the experiments: what differs between them, and nothing else
	@dvc exp show --only-changed --drop '.*/'

plots: $(VENV)/.ready  ## Draw the plots into build/plots, as SVG that opens without a network
	@python -m stages.plots

dossier: $(VENV)/.ready  ## Write the model's dossier: models/dossier/index.html and build/dossier.pdf
	@dvc repro --quiet dossier && python -m stages.dossier --pdf

test: $(VENV)/.ready  ## Run the tests that need nothing but the environment
	@python -m pytest -n auto --dist loadgroup --no-loadscope-reorder -m "not e2e"

lint: $(VENV)/.ready  ## Check style, types and import rules
	@ruff check . && ruff format --check . && mypy && lint-imports

format: $(VENV)/.ready  ## Format the code and fix what ruff can fix
	@ruff check --fix . && ruff format .

serve: $(VENV)/.ready  ## Serve the winner on loopback: PORT=3000, or another that you give
	@python -m service.serve --port $(PORT)

image: $(VENV)/.ready  ## Build the bento and the OCI image of the winner (needs docker or podman)
	@bento="$$(python -m release.image build)" && python -m release.image containerize "$$bento"

dashboard: $(VENV)/.ready  ## Show the ledger's decisions, drift, performance and incidents
	@python -m service.dashboard

demo: $(VENV)/.ready  ## Run a demonstration (service, dashboard, drifting traffic) until Ctrl-C
	@python -m service.demo --port $(PORT)

$(VENV)/.ready-e2e: requirements/e2e.txt $(VENV)/.ready
	@if command -v uv >/dev/null; then \
	  VIRTUAL_ENV=$(VENV) uv pip install --quiet --compile-bytecode --require-hashes --requirements $<; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; fi
	@touch $@

e2e: $(VENV)/.ready-e2e  ## Run the end-to-end tests (.ci/run says what they need)
	@REQUIRE_REAL_PARTS=1 python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder -m e2e

docs: $(VENV)/.ready  ## Build the documentation into build/docs
	@python docs/reference.py && NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo "Read it: python -m http.server --bind 127.0.0.1 --directory build/docs"

bench: $(VENV)/.ready  ## Time the pipeline against its fitting calls
	@python -m benches.pipeline

bench-evaluate: $(VENV)/.ready  ## Time `evaluate` against test rows and candidates
	@python -m benches.evaluation_time

bench-resampling: $(VENV)/.ready  ## Compare ways to resample the training rows, for the dossier
	@python -m benches.judging.resampling

bench-monitors: $(VENV)/.ready  ## Count alarms of the sequential monitors in quiet years, and time the drifts
	@OMP_NUM_THREADS=1 nice -n 5 python -m benches.judging.sequential_monitors

bench-batch: $(VENV)/.ready  ## Time the scoring of files
	@OMP_NUM_THREADS=1 python -m benches.serving.portfolio

bench-serve: $(VENV)/.ready  ## Time the service against other ways to serve, and with several workers (DATABASE=postgresql://...)
	@python -m benches.serving.serve && python -m benches.serving.workers $(if $(DATABASE),--database $(DATABASE))

bench-overload: $(VENV)/.ready  ## Load the service with more than it can answer
	@python -m benches.serving.overload

bench-coverage: $(VENV)/.ready  ## Count in simulated books how often the 95 % intervals hold the truth
	@python -m benches.judging.coverage

bench-figures: $(VENV)/.ready  ## Compare stated figures with the truth, in difficult simulated books
	@OMP_NUM_THREADS=1 nice -n 5 python -m benches.judging.figures

bench-books: $(VENV)/.ready  ## Judge the pipeline against tuned boosters, on public and unknown books
	@OMP_NUM_THREADS=1 nice -n 5 python -m benches.judging.books

lock:  ## Compile requirements/*.in to locks with hashes (needs uv)
	@for name in e2e feast dev pipeline service training; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make lock" requirements/$$name.in \
	    $$(test $$name != pipeline || echo requirements/training.in) \
	    $$(test $$name = e2e -o $$name = feast || echo "-c requirements/e2e.txt") \
	    $$(test $$name != training || echo "--no-deps --no-annotate --no-generate-hashes") -o requirements/$$name.txt; \
	done

clean:  ## Remove caches and builds; keep the environment, the data and the models
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build

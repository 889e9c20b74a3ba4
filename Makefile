# `make train` and `make test` set up everything they need, the first time, from nothing but
# Python 3.11 or newer and a network; afterwards they work offline. What trains, exports and serves
# is less than what tests: whoever only uses flaxmill waits for the former alone.

SHELL := /bin/bash
BIN := .venv/bin
USABLE := .venv/.usable
USED := onnx,serve
READY := .venv/.ready

# The first of these that runs, can make environments, and is new enough (PYTHON=… chooses).
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
    $$python -c 'import ensurepip; $(NEW_ENOUGH)' 2>/dev/null && { echo $$python; break; }; done)

ASKED := $(or $(PYTHON),python3)

# Data beside the checkout is used if nothing else is said; FLAXMILL_DATA= (empty) uses none.
FLAXMILL_DATA ?= $(wildcard ../shared/data)
ifneq ($(FLAXMILL_DATA),)
export FLAXMILL_DATA
endif

# Options of the command behind a target, such as: make train ARGS="--epochs 1"
ARGS ?=

.PHONY: help train test matrix lint format bench accelerator docs web dist clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

train: $(USABLE)  ## train on pictures of clothing, the real ones if they can be had
	$(BIN)/flaxmill train fashion_mnist --data auto $(ARGS)

test: $(READY)  ## run all tests, offline
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

matrix: $(READY)  ## run all tests for every recipe, and compiled as they are for users (longer)
	XLA_FLAGS= $(BIN)/python -m pytest -m "" --numprocesses 2 --dist loadfile $(ARGS)

lint: $(READY)  ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyrefly check

format: $(READY)  ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What a benchmark prints is kept, and the tables are made of it.
define measure
	set -o pipefail; $(BIN)/python benchmarks/$(1) | tee -a benchmarks/results.jsonl
endef

PEERS := .venv-peers
$(PEERS)/.ready: benchmarks/peers/requirements.txt
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: $(READY) $(PEERS)/.ready  ## measure everything that is published, and write it into the tables (hours)
	$(call measure,start.py)
	$(call measure,fashion_mnist.py speed)
	$(call measure,peers.py --python $(PEERS)/bin/python)
	$(call measure,sizes.py --python $(PEERS)/bin/python)
	$(call measure,networks.py)
	$(call measure,fast_convolutions.py)
	$(call measure,parity.py --python $(PEERS)/bin/python)
	$(call measure,export_parity.py)
	$(call measure,calibration.py)
	$(call measure,fashion_mnist.py accuracy --preset quick --seeds 5)
	$(call measure,ninety.py)
	$(call measure,fashion_mnist.py accuracy --preset article --seeds 3)
	$(call measure,fashion_mnist.py accuracy --preset good --seeds 3)
	$(call measure,fashion_mnist.py accuracy --preset best --seeds 1 --runs runs/best)
	$(call measure,cifar10.py accuracy --recipe mnist --seeds 3)
	$(call measure,cifar10.py speed --python $(PEERS)/bin/python)
	$(call measure,cifar10.py accuracy --seeds 3 --runs runs/cifar10)
	$(call measure,images.py --python $(PEERS)/bin/python)
	$(call measure,texts.py)
	$(call measure,lr_find.py)
	$(call measure,choices.py)
	$(call measure,choices.py --preset good --seeds 2)
	$(call measure,sketches.py --seeds 3)
	$(call measure,gears.py)
	$(call measure,seeds.py)
	$(call measure,streaming.py)
	$(call measure,input.py --python $(PEERS)/bin/python)
	$(call measure,scaling.py)
	$(call measure,augmentation.py cost)
	$(call measure,augmentation.py worth)
	$(call measure,serve.py limits)
	$(call measure,serve.py load --python $(PEERS)/bin/python)
	$(call measure,resume.py)
	$(BIN)/flaxmill train fashion_mnist --save-every 5 --no-report --run runs/to-damage
	$(call measure,damage.py runs/to-damage)
	$(BIN)/python benchmarks/table.py

# Each of them stops after nine minutes, if it is not done, and goes on when this is made again. Of
# best, which takes longest, one seed is trained, and the table says so.
ACCELERATED := accelerator.py targets --python $(PEERS)/bin/python --run runs/accelerator
accelerator: $(READY) $(PEERS)/.ready  ## measure on a machine with one what is published of it
	$(call measure,accelerator.py epoch --python $(PEERS)/bin/python)
	$(call measure,$(ACCELERATED) --preset quick)
	$(call measure,$(ACCELERATED) --preset good)
	$(call measure,$(ACCELERATED) --preset best --seeds 1)
	$(BIN)/python benchmarks/table.py

docs: $(READY)  ## try what the documentation shows, all but downloads: commands, links, notebooks
	$(BIN)/python -m pytest tests/whole/test_docs.py tests/whole/test_examples.py $(ARGS)

# Two files of an npm package; `flaxmill export --format web` puts them beside the model.
RUNTIME := flaxmill/export/runtime
RUNTIME_VERSION := 1.30.0
RUNTIME_SHA512 := ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61
SHA512 := import hashlib, sys; print(hashlib.sha512(sys.stdin.buffer.read()).hexdigest())
web:  ## put onnxruntime-web into the package, for models that run in a browser (network, npm)
	@command -v npm >/dev/null || { echo "npm is needed (Debian, Ubuntu: apt install npm)." >&2; exit 2; }
	away=$$(mktemp -d) && trap 'rm -rf "$$away"' EXIT \
	    && package="$$away/onnxruntime-web-$(RUNTIME_VERSION).tgz" \
	    && npm pack --silent --pack-destination "$$away" onnxruntime-web@$(RUNTIME_VERSION) \
	    && { test "$$($(PYTHON) -c '$(SHA512)' < "$$package")" = $(RUNTIME_SHA512) \
	        || { echo "onnxruntime-web is not the package that was tested: its digest differs." >&2; exit 1; }; } \
	    && mkdir -p $(RUNTIME) && tar -xzf "$$package" -C $(RUNTIME) --no-same-owner \
	        --strip-components=2 package/dist/ort.wasm.bundle.min.mjs \
	        package/dist/ort-wasm-simd-threaded.wasm

dist: $(READY)  ## build wheel and sdist, and try the wheel in an empty environment (network)
	rm -rf dist build
	$(BIN)/python -m build
	@echo 'Every file of the package must be in the wheel and in the sdist:'
	diff <(find flaxmill -type f -not -name '*.pyc' | sort) \
	    <($(BIN)/python -m zipfile -l dist/*.whl | awk '/^flaxmill\// {print $$1}' | sort)
	diff <(find flaxmill -type f -not -name '*.pyc' | sort) \
	    <(tar -tzf dist/*.tar.gz | sed -n 's|^[^/]*/\(flaxmill/.*[^/]\)$$|\1|p' | sort)
	@echo 'The wheel must work in an empty environment, away from the checkout:'
	away=$$(mktemp -d) && trap 'rm -rf "$$away"' EXIT && $(BIN)/python -m venv "$$away/venv" \
	    && "$$away/venv/bin/pip" install --quiet --constraint constraints.txt dist/*.whl \
	    && cd "$$away" && venv/bin/flaxmill --help && venv/bin/flaxmill recipes

clean:  ## remove what building and testing left; runs/ and .venv/ stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that cannot run flaxmill (of an older Python, or broken) is made anew, for it would
# fail again and again.
define environment
	@$(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	    test -n "$(PYTHON)" && $(PYTHON) -c 'import ensurepip; $(NEW_ENOUGH)' 2>/dev/null || { \
	        echo "flaxmill needs Python 3.11 or newer with its module venv, and" \
	            "$(ASKED) here is $$($(ASKED) -V 2>/dev/null || echo missing)." \
	            "Install one (Debian 12, Ubuntu 24.04: apt install python3 python3-venv; Ubuntu" \
	            "22.04: apt install python3.11-venv), or give PYTHON=/path/to/python." >&2; \
	        exit 2; }; \
	    test ! -e .venv || echo "The environment .venv is broken, or older than Python 3.11:" \
	        "it is made anew."; \
	    $(PYTHON) -m venv --clear .venv; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	@echo "Installing into .venv, once, which takes some minutes: $(2)."
	@$(BIN)/python -m pip install $$(test -t 1 || echo --quiet) --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[$(1)]'
endef

# Made again when what is to be installed changes. A broken attempt leaves no stamp.
$(USABLE): pyproject.toml constraints.txt
	$(call environment,$(USED),what trains and exports and serves (1.2 GB on disk))
	@touch $@

$(READY): pyproject.toml constraints.txt
	$(call environment,dev,all that flaxmill is developed with (1.7 GB on disk))
	@touch $(USABLE) $@

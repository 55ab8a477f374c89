# Two commands matter: `make run` and `make test`. Everything installs into .venv from pinned versions.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTO := proto/nexttoken/v1/next_token.proto
NODE_TOOLS := build/node
NEXTTOKEN_REAL ?= build/real
LENS := build/lens
LM_EVAL := build/lm-eval
RAY := build/ray
SITE := build/mkdocs
BRING_REAL := ../shared/tools/real-models
BUF_VERSION := 1.75.0
# Tests run side by side, one worker more than CI has cores: they also wait, for services and for time to pass.
WORKERS ?= 3
SIDE_BY_SIDE := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

help:  ## list these commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: $(VENV)/.run  ## install, start both services, print the page's address; Ctrl-C stops them
	@PYTHONUNBUFFERED=1 $(BIN)/honcho start --no-prefix

test: $(VENV)/.dev  ## unit, integration and model tests, and the page's pure code: make test WORKERS=8
	$(BIN)/pytest $(SIDE_BY_SIDE) --durations=30
	$(BIN)/node --test 'tests/frontend/**/*.test.js'

attack: $(VENV)/.dev  ## attacks on the running services that take longer than those in make test
	$(BIN)/pytest tests/attack -m slow_attack --numprocesses $(WORKERS)

fuzz: $(VENV)/.dev  ## coverage-guided fuzzing, five minutes per target: make fuzz SECONDS=30 TARGET=http
	PYTHON=$(PYTHON) tools/install $(VENV) fuzz
	PYTHONPATH=tests:tests/support $(BIN)/python -m fuzz $(or $(SECONDS),300) $(TARGET)

lens: $(LENS)/.installed  ## check layers and contributions against TransformerLens, which is installed first
	$(LENS)/bin/python -m pytest tests/lens

lm-eval: $(LM_EVAL)/.installed  ## compare the OpenAI-compatible API with lm-evaluation-harness's own backend, which is installed first: make lm-eval ITEMS=100
	LM_EVAL=$(LM_EVAL)/bin/lm_eval ITEMS=$(or $(ITEMS),200) $(BIN)/pytest tests/harness -o faulthandler_timeout=1800

site: $(SITE)/.installed  ## the documentation site, built into build/site and checked; MkDocs is installed first
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=.:proto:tools $(SITE)/bin/mkdocs build --clean --strict
	$(BIN)/pytest -q tests/docs_site

notebook: $(VENV)/.dev  ## run docs/notebook.ipynb on the demo model and keep what it shows
	PYTHONPATH=tests/support $(BIN)/python -m notebook_run

e2e: $(VENV)/.dev  ## the whole stack in headless Chromium; screenshots go to artifacts/
	$(BIN)/pytest tests/e2e $(SIDE_BY_SIDE) --durations=30

e2e-compose: $(VENV)/.dev  ## both images and the container stack, on a real Docker engine
	$(BIN)/pytest tests/compose

e2e-ray: $(RAY)/.installed  ## the inference server on a Ray cluster, with faults under load; Ray is installed first
	$(BIN)/pytest tests/ray_serve

real: $(VENV)/.dev  ## fetch published model files for the tests, if the script for it is next to the checkout
	@if [ -x $(BRING_REAL) ]; then $(BRING_REAL) $(NEXTTOKEN_REAL) $(BIN)/python; \
	else echo "$(BRING_REAL) not found: tests on published files will be skipped"; fi

picture: $(VENV)/.dev  ## regenerate the README's screenshot and animation from the real page
	PYTHONPATH=tests:tests/support $(BIN)/python -m e2e.picture

e2e-network: $(VENV)/.dev  ## the tiers on two hosts, as network namespaces: needs root and ip (Debian: iproute2)
	$(BIN)/pytest tests/network

bench: $(VENV)/.dev  ## measure both tiers, start-up and memory; the last line is JSON
	PYTHONPATH=tests:tests/support $(BIN)/python -m bench

bench-gpu: $(VENV)/.dev  ## measure steps on a CUDA GPU; the last line is JSON
	PYTHONPATH=tests:tests/support $(BIN)/python -m bench.gpu

bench-llamacpp: $(VENV)/.dev  ## compare a step with llama.cpp, which is compiled first (ten minutes, once)
	PYTHON=$(PYTHON) tools/install $(VENV) llamacpp
	PYTHONPATH=tests:tests/support $(BIN)/python -m bench.llamacpp

plan: $(VENV)/.dev  ## replicas, waits and costs for a number of visitors, simulated: make plan VISITS=5000
	PYTHONPATH=.:tools $(BIN)/python -m capacity $(foreach each,$(VISITS),--visits $(each)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(LOAD),--load $(LOAD))

soak: $(VENV)/.dev  ## long lives and ten minutes of mixed load; checks that nothing grows: make soak MINUTES=60
	$(BIN)/pytest tests/models -m soak $(SIDE_BY_SIDE)
	PYTHONPATH=tests:tests/support $(BIN)/python -m bench.soak $(or $(MINUTES),10)

check: lint types proto-check audit chart  ## format, lint, types, contract, dependency audit, Helm chart

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

chart: $(VENV)/.dev  ## the Helm chart, rendered and checked against Kubernetes' schemas
	$(BIN)/pytest -q tests/deploy

audit: $(VENV)/.dev  ## check the pinned dependencies for known vulnerabilities, if the network allows
	tools/audit $(VENV)

format: $(VENV)/.dev  ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(VENV)/.dev  ## regenerate the gRPC code next to its .proto
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=proto --pyi_out=proto --grpc_python_out=proto $(PROTO)

proto-check: $(VENV)/.dev $(NODE_TOOLS)/node_modules/.bin/buf  ## fail if generated code or buf's rules disagree with the .proto
	rm -rf build/proto && mkdir -p build/proto
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=build/proto --pyi_out=build/proto --grpc_python_out=build/proto $(PROTO)
	diff -r build/proto/nexttoken proto/nexttoken --exclude='*.proto' --exclude=__pycache__
	PATH="$$PWD/$(BIN):$$PATH" $(NODE_TOOLS)/node_modules/.bin/buf lint proto

train: $(VENV)/.run  ## retrain the demo model: make train CORPUS=stories.txt MINUTES=60
	PYTHONPATH=tools $(BIN)/python -m train_demo_model.train $(CORPUS) --minutes $(or $(MINUTES),60)

clean:  ## remove everything installed and built
	rm -rf $(VENV) build artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.run: pyproject.toml constraints.txt tools/install tools/torch
	PYTHON=$(PYTHON) tools/install $(VENV) gateway,inference,run
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt tools/install tools/torch
	PYTHON=$(PYTHON) tools/install $(VENV) gateway,inference,run,dev,bench
	@touch $@ $(VENV)/.run

# an extra in an environment of its own, which uses the packages of the main one
build/%/.installed: $(VENV)/.dev
	PYTHON=$(PYTHON) tools/install build/$* $* $(VENV)
	@touch $@

$(SITE)/.installed: $(VENV)/.dev
	PYTHON=$(PYTHON) tools/install $(SITE) site $(VENV)
	@touch $@

$(NODE_TOOLS)/node_modules/.bin/buf: $(VENV)/.dev
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/npm install --silent --no-save --no-audit --no-fund --prefix $(NODE_TOOLS) @bufbuild/buf@$(BUF_VERSION)
	@touch $@

.PHONY: help run test real attack fuzz lens lm-eval e2e e2e-network e2e-compose picture bench bench-gpu bench-llamacpp soak check chart lint types audit format proto proto-check train clean plan e2e-ray site notebook

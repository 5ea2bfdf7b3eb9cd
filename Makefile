# strnet-gateway. `make help` lists what there is.
PYTHON ?= python3.11
VENV   := .venv
RUN    := $(VENV)/bin
PEERS  ?=
INPUT  ?=
STAMP  := $(VENV)/.installed
STAMP_DEV := $(VENV)/.installed-dev

.PHONY: help demo test check conformance decode-table format clean peers

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(RUN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; use PYTHON=... with 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(RUN)/python pyproject.toml
	$(RUN)/pip install --quiet --editable .
	@touch $@

$(STAMP_DEV): $(RUN)/python pyproject.toml
	$(RUN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(STAMP)

demo: $(STAMP) ## the main job on this machine: embedded PACS, gateway, synthetic knees (INPUT=folder for your own DICOM files)
	$(RUN)/strnet-gateway demo $(if $(INPUT),--input "$(INPUT)")

peers:
	@if [ "$(PEERS)" = install ]; then bash tests/peers/install.sh; fi

test: $(STAMP_DEV) peers ## all tests; PEERS=install installs Debian's DICOM peers first, without them their tests are skipped and named
	$(RUN)/python -m pytest

check: $(STAMP_DEV) ## formatter, linter, types, import contracts
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

conformance: $(STAMP_DEV) peers ## SR and SC of every kind through the public validators; last line JSON
	$(RUN)/python -m tests.conformance

decode-table: $(STAMP_DEV) peers ## stored values of every transfer syntax against independent decoders; last line JSON
	$(RUN)/python -m tests.decode_table

format: $(STAMP_DEV) ## let the formatter write
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

clean: ## remove what make made
	rm -rf $(VENV) out build *.egg-info

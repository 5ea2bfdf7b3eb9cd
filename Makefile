# strnet-gateway. `make help` lists what there is.
PYTHON ?= python3.11
VENV   := .venv
RUN    := $(VENV)/bin
PEERS  ?=
MINUTES ?= 20
DATABASE ?= sqlite
INPUT  ?=
STAMP  := $(VENV)/.installed
STAMP_DEV := $(VENV)/.installed-dev
OHIF   := build/ohif/node_modules/@ohif/app/dist

.PHONY: help demo test test-long check conformance decode-table sequences stories test-attacks test-faults soak delivery-show bench-intake bench-queue viewer format clean peers viewer-peers

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(RUN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; use PYTHON=... with 3.11 or newer"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(RUN)/python pyproject.toml
	@echo "installing into $(VENV): 2 GB, torch and OpenVINO among it; some minutes, the last of them without a word"
	$(RUN)/pip install --editable .
	@touch $@

$(STAMP_DEV): $(RUN)/python pyproject.toml
	@echo "installing into $(VENV): 2 GB, torch and OpenVINO among it; some minutes, the last of them without a word"
	$(RUN)/pip install --editable '.[dev]'
	@touch $@ $(STAMP)

demo: $(STAMP) ## the main job on this machine: embedded PACS, gateway, synthetic knees (INPUT=folder for your own DICOM files)
	$(RUN)/strnet-gateway demo $(if $(INPUT),--input "$(INPUT)")

peers:
	@if [ "$(PEERS)" = install ]; then bash tests/peers/install.sh; fi

viewer-peers:
	@if [ "$(PEERS)" = install ]; then bash tests/peers/install.sh viewer; fi

# npm refuses a package that is not the one whose hash stands in the lock; nothing of it is run at installation
$(OHIF)/index.html: tests/viewer/ohif/package.json tests/viewer/ohif/package-lock.json | viewer-peers
	@command -v npm >/dev/null || { echo "npm is not installed; use make viewer PEERS=install"; exit 2; }
	mkdir -p build/ohif
	cp tests/viewer/ohif/package.json tests/viewer/ohif/package-lock.json build/ohif/
	cd build/ohif && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

test: $(STAMP_DEV) peers ## all tests; PEERS=install installs Debian's DICOM peers first, without them their tests are skipped and named
	OMP_WAIT_POLICY=PASSIVE $(RUN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-long: $(STAMP_DEV) peers ## what takes too long for every change: two hosts on one store, a bundle of a training run, a killed training
	$(RUN)/python -m pytest -m long

check: $(STAMP_DEV) ## formatter, linter, types, import contracts
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/lint-imports

conformance: $(STAMP_DEV) peers ## SR and SC of every kind through the public validators; last line JSON
	$(RUN)/python -m tests.conformance

decode-table: $(STAMP_DEV) peers ## stored values of every transfer syntax against independent decoders; last line JSON
	$(RUN)/python -m tests.decode_table

sequences: $(STAMP_DEV) peers ## images of a study in every order and by every road, and what Orthanc holds after each step; last line JSON
	$(RUN)/python -m tests.acceptance

stories: $(STAMP_DEV) peers ## a wrong patient, a recall, and check of good and broken set-ups, with what Orthanc holds after each step; last line JSON
	$(RUN)/python -m tests.acceptance.stories

test-attacks: $(STAMP_DEV) peers ## stalled, flooding and lying peers against a running receiver, while DCMTK sends to it; last line JSON
	$(RUN)/python -m tests.attacks

bench-intake: $(STAMP_DEV) peers ## intake beside DCMTK, Orthanc and a stock pynetdicom SCP, 1 to 16 associations; last line JSON
	$(RUN)/python -m tests.benchmarks.intake

viewer: $(STAMP_DEV) viewer-peers $(OHIF)/index.html ## results in OHIF over Orthanc in headless Chromium, pictures in out/viewer; last line JSON; PEERS=install as for test
	$(RUN)/python -m tests.viewer --viewer $(OHIF)

test-faults: $(STAMP_DEV) peers ## power cuts, full and failing disks, kills, hostile peers against a running receiver; writes docs/faults.md; needs root; last line JSON
	$(RUN)/python -m tests.faults

soak: $(STAMP_DEV) peers ## kill -9 of every role at random under load (MINUTES=20, DATABASE=sqlite or postgresql), then senders, database and PACS compared; last line JSON
	$(RUN)/python -m tests.soak --minutes $(MINUTES) --database $(DATABASE)

delivery-show: $(STAMP_DEV) peers ## 50 results to an Orthanc that is stopped, started, killed and refuses for a while, and what it holds at the end; last line JSON
	$(RUN)/python -m tests.outages

bench-queue: $(STAMP_DEV) peers ## claims beside 1,000 to 1,000,000 finished jobs, images per second, idle engines; last line JSON
	$(RUN)/python -m tests.benchmarks.queue

format: $(STAMP_DEV) ## let the formatter write
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

clean: ## remove what make made
	rm -rf $(VENV) out build *.egg-info

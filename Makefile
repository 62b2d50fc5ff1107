# `make` lists the targets. Everything runs in .venv, which any target that needs it makes first.
# PYTHON=/path/to/python3.x takes that interpreter instead of searching for one.

SHELL := /bin/sh
VENV := .venv
STAMP := $(VENV)/.installed
PY := $(VENV)/bin/python
REQUIREMENTS ?= requirements.txt
REQUIREMENT_FILES := $(REQUIREMENTS) pyproject.toml requirements/common.txt requirements/make_venv.sh \
	requirements/opencv-python/pyproject.toml requirements/opencv-python/stand_in.py
# Test processes side by side; each computes with one thread.
JOBS ?= 2
PYTEST_ARGS ?=

.PHONY: help venv demo test test-fast test-faults test-browser test-gpu lint doctor clean distclean

help:
	@echo "make demo       train SwiftNet on drawn street scenes, evaluate it, write pictures and a report (about 10 min)"
	@echo "make test       all tests              (PYTEST_ARGS='-k warp' and JOBS=4 are passed on)"
	@echo "make test-fast  without the tests marked slow or golden"
	@echo "make test-faults  kills, full disks and signals at every step of training runs (an hour on one core)"
	@echo "make test-browser  the web page in a real Chromium (Debian: chromium, chromium-driver)"
	@echo "make test-gpu   on an NVIDIA GPU, by PyTorch: tests marked gpu, goldens, training; without one it says so"
	@echo "make lint       ruff"
	@echo "make doctor     versions, devices, what is missing and why"
	@echo "make venv       only make $(VENV) (REQUIREMENTS=requirements-gpu.txt for NVIDIA GPUs)"
	@echo "make clean      remove caches; make distclean removes $(VENV) and demo results too"

venv: $(STAMP)

$(STAMP): $(REQUIREMENT_FILES)
	@sh requirements/make_venv.sh "$(VENV)" "$(REQUIREMENTS)" "$(PYTHON)"

demo:
	@start=$$(date +%s); $(MAKE) --no-print-directory venv && $(PY) demo/run.py --started $$start

test: $(STAMP)
	$(PY) -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

test-fast: $(STAMP)
	$(PY) -m pytest -n $(JOBS) --dist worksteal -m "not slow and not golden" $(PYTEST_ARGS)

test-faults: $(STAMP)
	$(PY) -m tests.faults.campaign $(FAULTS_ARGS)

test-browser: $(STAMP)
	$(PY) -m pip install -q -r requirements/browser.txt
	$(PY) -m pytest tests/demo/test_browser.py $(PYTEST_ARGS)

test-gpu: $(STAMP)
	@$(PY) -m tests.gpu $(PYTEST_ARGS)

lint: $(STAMP)
	$(PY) -m ruff check . && $(PY) -m ruff format --check .

doctor: $(STAMP)
	$(PY) -m mxnetseg.doctor

clean:
	rm -rf .pytest_cache .ruff_cache build dist *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print | xargs rm -rf

distclean: clean
	rm -rf $(VENV) weights/runs/demo

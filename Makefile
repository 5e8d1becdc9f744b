# `make up` starts everything; `make test` runs the test suite. Both make the environment in .venv first.
SHELL := /bin/sh
PYTHON = .venv/bin/python
STAMP = .venv/.made
UV = $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
FIND_PYTHON = for python in python3.13 python3.12 python3.11 python3 python; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Silt needs Python 3.11 or newer, and none is on PATH: install one (with its venv module)." >&2; exit 2; \
	fi

.PHONY: up test slow check env lock bench bench-scale latency backlog bench-api faults

up: env
	@exec .venv/bin/silt up

test: env
	@exec $(PYTHON) -m pytest -m "not slow" -n 3 --dist loadgroup

# What takes minutes: whole stacks, planted bugs, many seeds, and a short plan of faults.
slow: env
	$(PYTHON) -m pytest -m slow -n 3 --dist loadgroup --ignore tests/faults
	$(PYTHON) -m pytest -m slow tests/faults

check: env
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

# Three quarters of an hour of kills, full disks and worse under a live stream, and the proof that no record came to harm.
faults: env
	@exec $(PYTHON) -m tests.faults long

# Silt beside Structured Streaming and MLlib on one topic, at rest, and with ten million records: an hour.
bench: env
	@exec $(PYTHON) -m bench.versus

# From a window's close to its answer over HTTP: a quarter of an hour, on two stacks of their own.
latency: env
	@exec $(PYTHON) -m bench.latency

# 300 windows that were produced while the stack was off: a quarter of an hour, on a stack of its own.
backlog: env
	@exec $(PYTHON) -m bench.backlog

# Time and memory as windows, features, clusters, partitions and what is kept grow: ten minutes, and a picture.
bench-scale: env
	@exec $(PYTHON) -m bench.scale docs/images/scale.svg

# The API's look-ups among 30 million records, and its requests a second beside Express (needs wrk and npm): half an hour.
bench-api: env
	@$(PYTHON) -m bench.api_lookups; looked=$$?; $(PYTHON) -m bench.api_throughput && exit $$looked

env: $(STAMP)

# Made anew only when what it is made from has changed.
$(STAMP): requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory uv
	@$(FIND_PYTHON); test -x $(PYTHON) || $(UV) venv --quiet --python "$$python" .venv
	@echo "Installing Silt's environment in .venv ..."
	@$(UV) pip install --quiet --python $(PYTHON) --require-hashes --compile-bytecode -r requirements.lock
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --editable .
	@touch $(STAMP)

# uv from PATH if it is there, else one of our own.
.PHONY: uv
uv:
	@if [ "$(UV)" = .uv/bin/uv ] && ! [ -x .uv/bin/uv ]; then \
		$(FIND_PYTHON); echo "Bringing uv, the installer, into .uv ..."; \
		"$$python" -m venv .uv && .uv/bin/python -m pip install --quiet --disable-pip-version-check uv; \
	fi

# The exact versions of everything, for every Python from 3.11 and every system, with their hashes.
lock: uv
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

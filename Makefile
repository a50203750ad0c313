# make demo   the whole job on two bundled apps
# make test   lint, types and every test but the lab's
# make test-lab   applied to real hosts that boot here (as root on Debian)
# All make their own set-up: a virtual environment, and as root on Debian the packages below.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PATH := /usr/sbin:/sbin:$(PATH)

.PHONY: demo test test-fast test-lab matrix daemons lab lint bench bench-measurement bench-rendering bench-regret bench-apply setup packages clean

demo: setup
	$(BIN)/advisor demo

# Side by side what loads nothing; then, one after the other, what measures or is timed.
RENDERED := tests/matrix tests/render
PYTEST := ADVISOR_CADDY="$$(sh scripts/daemons.sh)/caddy-2.11/bin/caddy" $(BIN)/pytest
test: lint daemons
	$(PYTEST) -n 2 -m "not daemon" $(RENDERED:%=--ignore=%)
	$(PYTEST) -n 2 $(RENDERED)
	$(PYTEST) -m daemon $(RENDERED:%=--ignore=%)

# Every combination that users pick from, each accepted by the daemons of Debian 12 and 13.
matrix: daemons
	$(BIN)/pytest tests/matrix

test-fast: setup
	$(BIN)/pytest -m "not daemon" -x -q

# Real systemd hosts of Debian 12 and 13, applied to over SSH: four labs side by side, for their
# tests wait for one another's hosts, daemons and dwell times.
test-lab: setup lab
	$(BIN)/pytest -n 4 --dist loadfile tests/lab

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks.run

# Fifty probes against wrk and the process clocks: most of an hour on a quiet machine.
bench-measurement: setup
	$(BIN)/python -m benchmarks.measurement --runs 5

# Rendering, and the rendered nginx against those written by hand: six minutes.
bench-rendering: setup
	$(BIN)/python -m benchmarks.rendering

# What is advised against every configuration, and the formulas beside it. The grid once (some 25
# minutes), then 20 minutes a run; budgets and predictions in five more.
bench-regret: setup
	$(BIN)/python -m benchmarks.regret
	$(BIN)/python -m benchmarks.prediction
	$(BIN)/python -m benchmarks.budgets

# Rolling applies under load, applies with nothing to do, returns; on real hosts, as root: 15 minutes.
bench-apply: setup lab
	$(BIN)/python -m benchmarks.apply

setup: packages $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo]' --group dev
	touch $@

# What the demo and the tests start: each is installed only where its command is missing.
packages:
	@sh scripts/packages.sh nginx:nginx-light caddy:caddy \
		redis-server:redis-server wrk:wrk h2load:nghttp2-client systemd-analyze:systemd pg_ctlcluster:postgresql \
		promtool:prometheus debootstrap:debootstrap openssl:openssl \
		systemd-nspawn:systemd-container ip:iproute2 ssh:openssh-client

# Debian 13, another Caddy, three Gunicorns and gixy: made once, in a cache outside the checkout.
daemons: setup
	@sh scripts/daemons.sh >/dev/null

# The roots that the lab boots: made once, in the same cache.
lab: setup
	@sh scripts/lab.sh >/dev/null

clean:
	rm -rf $(VENV) dist build demo-output .mypy_cache .pytest_cache .ruff_cache .hypothesis

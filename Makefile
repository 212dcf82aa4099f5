# Public verbs of Aforo. Options are data: they reach the programs through the environment, never through a recipe.
# make itself ends with 2 for every failed recipe; the programs' own exit codes are 1 run failed, 2 usage, 3 environment.
.DEFAULT_GOAL := help
.NOTPARALLEL:
OPTIONS := SIZES MODES REPEATS LEVELS ADAPTIVE ARRIVALS SIZE COUNT CONCURRENCY RATE FILE USER_ID PROFILE RUN_ID STACK WORKERS ARGS
GIVEN := $(foreach o,$(OPTIONS),$(if $(filter-out undefined,$(origin $(o))),$(o)))
$(foreach o,$(GIVEN),$(eval override $(o) := $$(value $(o))))
export $(GIVEN)

# What STACK=compose does another way; native and aws share the programs of .venv and the stack of `local`.
ON := $(filter compose,$(STACK))
PY := .venv/bin/python
RUN := $(if $(ON),deploy/compose/stack run,$(PY) -m)
LOCAL := $(if $(ON),deploy/compose/stack,$(PY) -m local)
UP := $(LOCAL) up
DOWN := $(LOCAL) down
STATUS := $(LOCAL) status
LOGS := $(LOCAL) logs

.PHONY: help setup setup-dev run-burst run-sustained up down status logs doctor table report document matrix search compare plan audit \
        usl clean test test-faults test-compose test-limits lint lint-python lint-prometheus lint-compose lint-kubernetes bundle wheel docs lock
help: ## Show every verb
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'
	@echo 'Options: SIZE (50MB) COUNT (8) CONCURRENCY (2) RATE (10 a minute) FILE USER_ID PROFILE (full | showcase)'
	@echo '         RUN_ID (made) STACK (native | compose | aws) WORKERS (1, compose) ARGS (further words for the program)'
setup: ## Install what is missing (first use does this by itself)
	@$(if $(ON),docker compose version >/dev/null,local/setup.sh run)
setup-dev:
	@local/setup.sh develop
run-burst: setup ## Measure a burst: SIZE=50MB COUNT=8 CONCURRENCY=2 [FILE= PROFILE= USER_ID=]
	@MODE=burst $(RUN) injector --check && $(UP)
	@MODE=burst $(RUN) injector --monitor && $(RUN) capacity wait && $(RUN) capacity report
run-sustained: setup ## Measure a fixed rate: SIZE=100MB COUNT=50 RATE=10 CONCURRENCY=2
	@MODE=sustained $(RUN) injector --check && $(UP)
	@MODE=sustained $(RUN) injector --monitor && $(RUN) capacity wait && $(RUN) capacity report
up: setup ## Start the stack, or give its worker CONCURRENCY=2 slots
	@$(UP)
down: setup ## Stop the stack; data and results stay
	@$(DOWN)
status: setup ## Show the programs, and where to click
	@$(STATUS)
logs: setup ## Show the worker's log: ARGS=-f follows, ARGS=prometheus shows another
	@set -f; $(LOGS) $$ARGS
doctor: setup ## Look for what is wrong on this machine, and say what to do
	@$(PY) -m local doctor
table: setup ## Print the result table of all runs
	@set -f; $(RUN) capacity table $$ARGS
report: setup ## Print the row of a run again: ARGS=RUN_ID, or ARGS='--tasks-log FILE'
matrix: setup ## Measure a whole matrix: SIZES=50MB,100MB CONCURRENCY=1,2,4 [COUNT= RATE=auto LEVELS=1 ADAPTIVE=1]
search: setup ## Find the highest sustainable rate: SIZE=50MB CONCURRENCY=2
compare: setup ## Say whether B is slower than A: ARGS='RUN_A1,RUN_A2 RUN_B1,RUN_B2'
plan: setup ## Size the workers for a demand: ARGS='--demand 30/min'
audit: setup ## Check a published table for the impossible: ARGS=table.csv
usl: setup ## Fit throughput against concurrency: ARGS=levels.csv
document: setup ## Write the scenario's document from what was measured: capacity-planning/escenario_2_worker_throughput.md
report document matrix search compare plan audit usl:
	@set -f; $(RUN) capacity $@ $$ARGS
clean: setup ## Stop the stack and remove its data; ARGS='--results --videos' removes those too
	@set -f; $(LOCAL) clean $$ARGS
test: setup-dev ## Run the tests, the stack tests with them
	@.venv/bin/pytest -q -m 'not faults and not compose and not limits'
test-faults: setup-dev ## Inject faults into real processes
	@.venv/bin/pytest -q -m faults
test-compose: setup-dev ## Run the tests that need a Docker engine
	@.venv/bin/pytest -q -m compose
test-limits: setup-dev ## See the bottleneck verdicts be right on injected limits (minutes, root)
	@.venv/bin/pytest -q -m limits
lint: lint-python lint-prometheus lint-compose lint-kubernetes ## Check style, types, imports, rules, alerts, dashboards, compose file, manifests
lint-python: setup-dev
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
lint-prometheus: setup-dev
	@promtool check config prometheus/prometheus.yml prometheus/prometheus.compose.yml
	@promtool check rules --lint=all --lint-fatal prometheus/rules/*.yml prometheus/alerts/*.yml
	@promtool test rules prometheus/tests/*.yml
	@$(PY) -m grafana check
lint-compose:
	@if docker compose version >/dev/null 2>&1; then docker compose --profile '*' config --quiet; else echo 'compose file not checked: no docker compose'; fi
lint-kubernetes: setup-dev
	@.venv/bin/pytest -q tests/kubernetes/test_schemas.py
bundle: setup-dev ## Pack rules, alerts and dashboards for a Prometheus and Grafana of your own: dist/aforo-bundle/ [ARGS='--runbook URL']
	@set -f; $(PY) -m grafana bundle $$ARGS
wheel: setup-dev ## Build the library for a worker of your own into dist/, and print how to install it
	@rm -f dist/aforo-*.whl && $(PY) -m pip wheel -q --no-deps --no-build-isolation -w dist . && \
	  for file in $$PWD/dist/aforo-*.whl; do echo "pip install '$$file[sqs,events]'"; done
docs: setup-dev ## Make .env.example, docs/metrics.md and dashboards and Kubernetes rules from their sources
	@$(PY) -m local env-example > .env.example && $(PY) -m core.metrics_page > docs/metrics.md && $(PY) -m grafana && $(PY) deploy/kubernetes/generate.py
lock: ## Renew the locked requirements from requirements/*.in (needs uv)
	@for name in app services dev emulator celery-exporter; do uv pip compile -q --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --custom-compile-command 'make lock' requirements/$$name.in -o requirements/$$name.txt || exit; done

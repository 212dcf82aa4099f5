# The verbs of Aforo. make exits with 2 for every failed recipe. The programs' own exit codes are 1 run failed, 2 usage,
# 3 environment, 4 goal missed, 5 capacity lost, 130 interrupted.
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Options are data: they reach the programs as environment variables and are never part of a recipe.
# By default make expands a value given on its command line, so that SIZE='$(shell rm -rf x)' would run. The `eval`
# replaces each given option by its unexpanded text: $(value SIZE) is that text, and `override` beats the command line.
# Only given options are exported, because an empty option differs from one that is not set.
OPTIONS := SIZES SEEDS MODES REPEATS LEVELS ADAPTIVE ARRIVALS SIZE COUNT CONCURRENCY RATE SHAPE SEED TRACE FILE USER_ID PROFILE RUN_ID NOTE WARMUP STACK WORKERS YES ARGS
# Names of all variables on the command line: `override` below changes their origin. local/check_options.sh refuses those
# that the verbs do not use, before anything starts.
COMMAND_LINE := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(v)))),$(v)))
GIVEN := $(foreach o,$(OPTIONS),$(if $(filter-out undefined,$(origin $(o))),$(o)))
$(foreach o,$(GIVEN),$(eval override $(o) := $$(value $(o))))
export $(GIVEN)
# Celery's own command line reads APP, CONFIG_MODULE and LOADER. Ours is handed on under another name, and an APP that is
# in the environment is Celery's.
ifeq ($(origin APP),command line)
export AFORO_APP_FILE := $(value APP)
endif
unexport APP CONFIG_MODULE LOADER

# STACK=compose runs the programs in containers. native and aws run them from .venv.
COMPOSE := $(filter compose,$(STACK))
PY := .venv/bin/python
RUN := $(if $(COMPOSE),deploy/compose/stack run,$(PY) -m)
LOCAL := $(if $(COMPOSE),deploy/compose/stack,$(PY) -m local)

.PHONY: help options setup setup-dev import-executions run-burst run-sustained up down status logs doctor app-file table report document import matrix search compare history plan audit \
        usl clean test test-own-app test-faults chaos test-compose test-kubernetes test-limits test-versions fuzz lint lint-python lint-prometheus lint-compose lint-kubernetes bundle wheel sbom advisories docs lock

# Lines fit 80 columns: a long text continues under its first line.
WRAP = function show(name, text, words, line, n, i) { n = split(text, words, " "); \
  for (i = 1; i <= n; i++) { if (length(line " " words[i]) > 61) { printf "  %-16s%s\n", name, line; name = line = "" } line = line " " words[i] } \
  printf "  %-16s%s\n", name, line }

help: ## Show all verbs
	@awk -F ':.*## ' '$(WRAP) /^## /{print "\n" substr($$0, 4)} /^[a-z-]+:.*## /{show($$1, $$2)} \
	  /^#: /{option[++n] = substr($$0, 4)} END{print "\nOptions"; for (k = 1; k <= n; k++) {split(option[k], o, " = "); show(o[1], o[2])}}' \
	  $(firstword $(MAKEFILE_LIST))

#: SIZE, COUNT = size (50MB) and number (8) of the videos; 50MB:3+100MB:1 is a mix by weight
#: CONCURRENCY = slots of the worker (2)
#: RATE = videos per minute of a sustained run (10)
#: SHAPE, SEED = poisson (seed 1, also of a mix), ramp:5-30, steps:5,10,20 or spike:5-60 per minute
#: TRACE = send at the times of this CSV
#: FILE, USER_ID = your own input file; user id stored with the videos
#: SEEDS = schedules of kills, such as 1,2,3 (1)
#: PROFILE = encoding: full, showcase, hevc, av1, nvenc or path.toml
#: RUN_ID, WARMUP = id of the run (generated); 1 sends unmeasured videos first
#: NOTE = a remark that is stored with the run
#: APP = your own worker, in place of ours: path/aforo.toml, see docs/your-own-worker.md
#: STACK, WORKERS = native, compose or aws; number of workers (1); of a matrix or search 1,2,3
#: YES = 1 does not ask
#: ARGS = further words for the program

# The verbs are data, as the options are.
export VERBS := $(value MAKECMDGOALS)
.DEFAULT:
	@set -f; local/check_options.sh $$VERBS

## Measure
run-burst: setup ## Measure a burst: SIZE=50MB COUNT=8 CONCURRENCY=2 [FILE= PROFILE= USER_ID= WARMUP=1]
	@MODE=burst $(RUN) injector --check && $(LOCAL) up && $(RUN) capacity wait --queue
	@MODE=burst $(RUN) injector --monitor && $(RUN) capacity wait && $(RUN) capacity report

run-sustained: setup ## Measure a fixed rate: SIZE=100MB COUNT=50 RATE=10 CONCURRENCY=2 [SHAPE= TRACE=]
	@MODE=sustained $(RUN) injector --check && $(LOCAL) up && $(RUN) capacity wait --queue
	@MODE=sustained $(RUN) injector --monitor && $(RUN) capacity wait && $(RUN) capacity report

matrix: setup ## Measure a matrix: SIZES=50MB,100MB CONCURRENCY=1,2,4 [COUNT= RATE=auto SHAPE= WORKERS=1,2 LEVELS=1 ADAPTIVE=1 WARMUP=1]
search: setup ## Find the highest sustainable rate: SIZE=50MB CONCURRENCY=2 [WORKERS=1,2]

## Analyse
table: setup ## Print the result table of all runs
report: setup ## Print the row of a run: ARGS=RUN_ID, or ARGS='--tasks-log FILE'
document: setup ## Write the scenario's document: capacity-planning/escenario_2_worker_throughput.md
import: setup ## Make a run of your own scripts a row: APP=… SIZE= CONCURRENCY= ARGS='--tasks-log FILE' (or --ids, --from --to)
compare: setup ## Test if B is slower than A: ARGS='RUN_A1,RUN_A2 RUN_B1,RUN_B2'
history: setup ## Find since which run the capacity changed: [SIZE= CONCURRENCY= WORKERS= RATE=] ARGS='--fail-if-worse 5%'
plan: setup ## Size the workers for a demand: ARGS='--demand 30/min'
audit: setup ## Check a published table for contradictions: ARGS=table.csv
usl: setup ## Fit throughput against concurrency: ARGS=levels.csv (columns n,x[,se])

import-executions: setup ## Store the executions of a worker that nothing can reach: ARGS=its AFORO_EXECUTIONS_FILE
	@set -f; $(PY) -m collector import $$ARGS

matrix search table report document import compare history plan audit usl:
	@set -f; $(RUN) capacity $@ $$ARGS

## Stack
options: export GIVEN_OPTIONS := $(COMMAND_LINE)
options:
	@set -f; local/check_options.sh $$VERBS

setup: options ## Install missing programs (the other verbs do this too)
	@$(if $(COMPOSE),docker compose version >/dev/null,local/setup.sh run)

up: setup ## Start the stack, or give its worker (with APP=, yours) CONCURRENCY=2 slots
	@$(LOCAL) up

down: setup ## Stop the stack; data and results stay
	@$(LOCAL) down

status: setup ## Show the programs and their pages
	@$(LOCAL) status

logs: setup ## Show the log of the worker: ARGS=-f follows, ARGS=prometheus shows another
	@set -f; $(LOCAL) logs $$ARGS

doctor: setup ## Check this machine, or with APP= each line of aforo.toml [ARGS=--send then sends one video]
	@set -f; $(PY) -m local doctor $$ARGS

clean: setup ## Remove the stack's data [ARGS='--results --videos'], or with APP= what its runs made: ARGS=--rows
	@set -f; $(LOCAL) clean $$ARGS

app-file: setup ## Write a first aforo.toml for your own worker, after five questions: ARGS=path/of/your/app
	@set -f; $(PY) -m local app-file $$ARGS

## Develop
setup-dev: options
	@local/setup.sh develop

test: setup-dev ## Run the tests, including those of the native stack
	@# two at a time, as `make test-faults`
	@.venv/bin/pytest -q -m 'not own_app and not faults and not compose and not limits and not versions and not kubernetes and not fuzz' -n 2 --dist loadfile

test-faults: setup-dev ## Inject faults into real processes
	@# two at a time: they mostly wait for a timeout; a module stays together for its fixtures
	@.venv/bin/pytest -q -m faults -n 2 --dist loadfile

chaos: setup-dev ## Kill workers and servers by seeds, count lost jobs (minutes per seed): SEEDS=1,2 [ARGS='--kills 250 --parallel 4']
	@set -f; $(PY) -m benchmarks.chaos $$ARGS

test-own-app: setup-dev ## Measure the example of a team's app from end to end (minutes)
	@.venv/bin/pytest -q -m own_app

test-compose: setup-dev ## Run the tests that need a Docker engine
	@.venv/bin/pytest -q -m compose

test-kubernetes: setup-dev ## Test the manifests on a real Kubernetes control plane (needs Go; 20 minutes the first time, then 5)
	@$(PY) -m testing.kubernetes --build
	@.venv/bin/pytest -q -m kubernetes

test-versions: setup-dev ## Test the library beside each supported Celery and Python (minutes)
	@.venv/bin/pytest -q -m versions

test-limits: setup-dev ## Test the bottleneck verdicts on injected limits (minutes, root)
	@.venv/bin/pytest -q -m limits

fuzz: setup-dev ## Give random input to everything that reads what others wrote (minutes) [ARGS=--hypothesis-seed=N]
	@set -f; .venv/bin/pytest -q -m fuzz $$ARGS

lint: lint-python lint-prometheus lint-compose lint-kubernetes ## Check style, types, imports, rules, alerts, dashboards, compose file, manifests

lint-python: setup-dev
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

lint-prometheus: setup-dev
	@promtool check config prometheus/prometheus.yml prometheus/prometheus.compose.yml
	@promtool check rules --lint=all --lint-fatal prometheus/rules/*.yml prometheus/alerts/*.yml
	@promtool test rules prometheus/tests/*.yml
	@$(PY) -m grafana check

lint-compose: options
	@if docker compose version >/dev/null 2>&1; then docker compose --profile '*' config --quiet; else echo 'compose file not checked: no docker compose'; fi

lint-kubernetes: setup-dev
	@.venv/bin/pytest -q tests/kubernetes/test_schemas.py

bundle: setup-dev ## Pack rules, alerts and dashboards for your own Prometheus and Grafana: dist/aforo-bundle/ [ARGS='--runbook URL']
	@set -f; $(PY) -m grafana bundle $$ARGS

wheel: setup-dev ## Build the library for your own worker into dist/, and print how to install it
	@rm -f dist/aforo-*.whl && $(PY) -m pip wheel -q --no-deps --no-build-isolation -w dist . && \
	  for file in $$PWD/dist/aforo-*.whl; do echo "pip install '$$file'"; \
	    echo "with harden() or events for celery-exporter: pip install '$$file[sqs,events]'"; done

sbom: options ## Write a bill of materials (CycloneDX) of each lock file into dist/sbom/
	@local/setup.sh sbom && mkdir -p dist/sbom && for name in app services emulator celery-exporter mysql dev; do \
	  .tools/sbom/bin/cyclonedx-py requirements requirements/$$name.txt --spec-version 1.6 --output-reproducible \
	    --output-format JSON --output-file dist/sbom/$$name.cdx.json || exit; echo "dist/sbom/$$name.cdx.json"; done

advisories: setup-dev ## Compare the locked packages with a checkout of the PyPA advisory-database: ARGS=FOLDER
	@set -f; $(PY) -m testing.advisories $$ARGS

docs: setup-dev ## Generate .env.example, docs/metrics.md, dashboards and Kubernetes rules
	@$(PY) -m local env-example > .env.example && $(PY) -m core.metrics_page > docs/metrics.md && $(PY) -m grafana && $(PY) deploy/kubernetes/generate.py

lock: options ## Update the locked requirements from requirements/*.in (needs uv)
	@for name in app services dev emulator celery-exporter sbom mysql; do uv pip compile -q --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --custom-compile-command 'make lock' requirements/$$name.in -o requirements/$$name.txt || exit; done

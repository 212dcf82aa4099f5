"""Build the configuration of Aforo's programs on this machine: environment, worker and Prometheus."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from core.app_file import AppFile
from core.remote_write import with_remote_write
from core.run_options import MAKE_VARIABLES, RUN_OPTIONS
from core.settings import Plan, Prometheus, Settings
from local.programs import STATE, Program, programs

WORKER_OPTIONS = STATE / "worker.env"
#: first line of the file of an app's worker
OF_APP = "AFORO_WORKER_PROGRAM=local.app_command"
PROMETHEUS_CONFIG = STATE / "prometheus.yml"
FINGERPRINT = STATE / "run" / "settings.sha256"
#: Variables of make that a program of the stack must not inherit.
NOT_INHERITED = RUN_OPTIONS | MAKE_VARIABLES
#: The label `app` that Prometheus gives to the reference worker.
OF_REFERENCE_WORKER = "replacement: aforo"


def supervisord_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables for supervisord, which all programs of the stack inherit.

    The options of a single run, such as SIZE, are removed from `environment`. The ports of the programs and values from
    `settings` are added.
    """
    inherited = {name: value for name, value in environment.items() if name not in NOT_INHERITED}
    optional = ("emulator", "events", "prometheus", "celery-exporter", "grafana")
    ports = {_port_name(name): "0" for name in optional} | {_port_name(p.name): str(p.port) for p in programs(settings)}
    fixed = {"AFORO_BIN": str(Path(sys.executable).parent)}
    fixed["AFORO_WORKER_STOP_SECONDS"] = str(worker_stop_seconds(settings))
    if settings.app_file is not None:
        fixed["AFORO_APP_FILE"] = str(settings.app_file.absolute())
    fixed |= {"AFORO_PROMETHEUS_URL": settings.prometheus.url, "AFORO_DASHBOARDS": f"dashboards-{settings.lang}"}
    fixed["CE_BROKER_URL"] = settings.events.redis_url or "redis://127.0.0.1:0/0"
    fixed["LOGURU_DIAGNOSE"] = "NO"
    return inherited | ports | fixed


def worker_stop_seconds(settings: Settings) -> int:
    """Return how many seconds a worker may take to stop before supervisord kills it."""
    app = settings.app
    return settings.worker.shutdown_seconds + 20 if app is None else app.worker.stop_seconds


def worker_options(concurrency: int, profile: str, threads: int) -> str:
    """Return the text of the file `.local/worker.env`, which has the options of the reference worker.

    `concurrency` is the number of slots. `threads` is the number of ffmpeg threads per slot, and 0 means automatic.
    """
    options = {
        "AFORO_WORKER_PROGRAM": "worker",
        "AFORO_WORKER_CONCURRENCY": str(concurrency),
        "AFORO_WORKER_PROFILE": profile,
        "AFORO_WORKER_THREADS": str(threads),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in options.items())


def app_worker_options(app: AppFile, concurrency: int) -> str:
    """Return the text of the file `.local/worker.env` for an app's worker.

    The text has the number of slots, and a hash of aforo.toml and of the app's environment variables.
    """
    settings_of_app = hashlib.sha256(json.dumps([app.text, dict(app.environment)], sort_keys=True).encode()).hexdigest()
    return f"{OF_APP}\nAFORO_WORKER_CONCURRENCY={concurrency}\n# {settings_of_app[:16]}\n"


def names_app_worker(app: AppFile | None = None) -> bool:
    """Return True if the file `.local/worker.env` is of an app's worker: the last worker that was started here.

    With `app`, it must be the worker of this app, with its present aforo.toml and environment variables.
    """
    text = WORKER_OPTIONS.read_text(encoding="utf-8") if WORKER_OPTIONS.exists() else ""
    end = "" if app is None else app_worker_options(app, 1).splitlines(keepends=True)[-1]
    return text.startswith(OF_APP) and text.endswith(end)


def fingerprint(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return a hash of all settings that take effect only when the whole stack is restarted.

    The hash includes the AWS variables in `environment` and the names of the stack's programs.
    """
    keys = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    program_names = [program.name for program in programs(settings)]
    worker = dataclasses.replace(settings.worker, concurrency=1, profile="full", threads=0)
    app = settings.app
    supervised = [] if app is None else [app.name, app.worker.stop_seconds, app.worker.metrics, app.worker.instrument]
    shown = repr(supervised) + repr(
        dataclasses.replace(settings, worker=worker, plan=Plan(), run_profile="", promtools=())
    )
    return hashlib.sha256(json.dumps([shown, keys, program_names], sort_keys=True).encode()).hexdigest()


def write_prometheus_config(
    scraped: Iterable[Program],
    prometheus: Prometheus,
    app: AppFile | None = None,
    source: Path = Path("prometheus/prometheus.yml"),
) -> None:
    """Make Prometheus' configuration for this machine from `source`. Write it to `.local/prometheus.yml`.

    `scraped` are the programs from which Prometheus collects metrics. `prometheus` has the settings for a copy of every
    sample to a central server. If `app` is given, Prometheus scrapes the app's workers, not the reference worker.
    """
    text = prometheus_config(source.read_text(encoding="utf-8"), scraped, source.parent.resolve(), app)
    PROMETHEUS_CONFIG.write_text(with_remote_write(text, prometheus), encoding="utf-8")


def prometheus_config(source: str, scraped: Iterable[Program], folder: Path, app: AppFile | None = None) -> str:
    """Return the text of Prometheus' configuration for this machine, made from the text `source`.

    Scrape jobs of programs that are not in `scraped` are removed. `folder` has the rule files. If `app` is given, the
    job `worker` gets the app's name and addresses.
    """
    ports = {program.name: program.port for program in scraped if program.scraped or program.name == "prometheus"}
    targets = {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}
    if app is not None and app.worker.metrics:
        targets["worker"] = list(app.worker.metrics)
    head, *jobs = re.split(r"(?m)^(?=  - job_name: )", source)
    blocks = [_with_targets(job, targets[_job(job)]) for job in jobs if _job(job) in targets]
    config = re.sub(r"(?m)^  - (rules|alerts)/", rf"  - {folder}/\1/", head) + "".join(blocks)
    return config if app is None else config.replace(OF_REFERENCE_WORKER, f"replacement: {json.dumps(app.name)}")


def _job(block: str) -> str:
    return block.split("job_name:", 1)[1].split("\n", 1)[0].strip()


def _with_targets(block: str, addresses: Sequence[str]) -> str:
    return re.sub(r"targets: \[.*?\]", lambda _: f"targets: {json.dumps(addresses)}", block)


def _port_name(program: str) -> str:
    return f"AFORO_PORT_{program.upper().replace('-', '_')}"

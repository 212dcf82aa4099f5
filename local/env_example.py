"""Generate the file `.env.example`: every setting with its meaning and default."""

from __future__ import annotations

from collections.abc import Iterable

from aforo.settings import DECLARATIONS
from core.settings import declared

HEAD = "# All settings with their defaults. Copy this file to .env, and remove the # before a setting to change it.\n"
LIBRARY_HEAD = "\n\n# The library `aforo` in your own worker reads these from the environment of that worker.\n"
COMPOSE_HEAD = "\n\n# STACK=compose only: further variables of docker-compose.yml and deploy/compose/stack.\n"
#: Name, default and meaning. A test compares them with docker-compose.yml.
COMPOSE = (
    ("WORKERS", "1", "worker nodes"),
    ("COMPOSE_PROFILES", "emulator,grafana", "optional services: emulator or aws (real SQS), grafana, alerts"),
    (
        "COMPOSE_PROJECT_NAME",
        "aforo",
        "name of the stack; stacks with other names and ports can run at the same time",
    ),
    ("AFORO_COMPOSE_WORKER_CPUS", "0", "CPU limit of each worker; 0 means none"),
    ("AFORO_COMPOSE_WORKER_MEMORY", "8g", "memory limit of each worker"),
    ("AFORO_COMPOSE_WORKER_STOP", "40s", "time for a worker to stop: AFORO_WORKER_SHUTDOWN_SECONDS + 20, or more"),
    ("AFORO_COMPOSE_PROMETHEUS_PORT", "9490", "port of Prometheus on 127.0.0.1"),
    ("AFORO_COMPOSE_GRAFANA_PORT", "3000", "port of Grafana on 127.0.0.1"),
    ("AFORO_COMPOSE_ALERTMANAGER_PORT", "9493", "port of Alertmanager on 127.0.0.1"),
    (
        "AFORO_COMPOSE_PROMETHEUS_FOLDER",
        "./prometheus",
        "configuration of Prometheus; `up` makes one for labels or a central store",
    ),
    ("AFORO_POSTGRES_PASSWORD", "aforo", "password of the stack's PostgreSQL; set it before the first `up`"),
    (
        "AFORO_POSTGRES_READER_PASSWORD",
        "",
        "password of the exporters' read-only user; empty means a generated one",
    ),
    ("PYTHON_IMAGE", "python:3.11.14-slim-bookworm", "base of our images; image@sha256:… pins a digest"),
    ("POSTGRES_IMAGE", "postgres:15.14-bookworm", "image of the database"),
    ("REDIS_IMAGE", "redis:7.4.6-bookworm", "image of the Redis for Celery events"),
    ("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.3", "image of Prometheus"),
    ("GRAFANA_IMAGE", "grafana/grafana:12.3.0", "image of Grafana"),
    ("ALERTMANAGER_IMAGE", "prom/alertmanager:v0.28.1", "image of Alertmanager"),
    ("AWS_IMAGE", "", "image of another AWS emulator on port 4566; empty means ours"),
    ("CELERY_EXPORTER_IMAGE", "", "another image of celery-exporter; empty means ours"),
    ("AFORO_IMAGE_TAG", "latest", "tag of our own images"),
    ("BUILD_NETWORK", "default", "network of image builds; host if only the host reaches the package index"),
)


def render() -> str:
    """Return the text of `.env.example`."""
    settings = ((entry["name"], entry["default"], entry["meaning"]) for entry in declared())
    return HEAD + _listed(settings) + LIBRARY_HEAD + _listed(library_variables()) + COMPOSE_HEAD + _listed(COMPOSE)


def library_variables() -> list[tuple[str, str, str]]:
    """Return name, default and meaning of the environment variables that the library `aforo` reads.

    Variables that are also settings of Aforo's own programs are left out.
    """
    ours = {entry["name"] for entry in declared()}
    return [(each.name, each.default, _as_comment(each.meaning)) for each in DECLARATIONS if each.name not in ours]


def _as_comment(meaning: str) -> str:
    return (meaning[0].lower() + meaning[1:]).removesuffix(".")


def _listed(entries: Iterable[tuple[str, str, str]]) -> str:
    return "".join(f"\n# {meaning}\n#{name}={default}\n" for name, default, meaning in entries)

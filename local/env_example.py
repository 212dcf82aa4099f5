"""`.env.example`: every setting with its meaning and default, made from where they are declared."""

from __future__ import annotations

from collections.abc import Iterable

from core.settings import declared

HEAD = "# Every setting, with its default; take away the # to change one. Copy this file to .env.\n"
COMPOSE_HEAD = "\n\n# STACK=compose only: what docker-compose.yml and deploy/compose/stack read beside the above.\n"
#: name, default and meaning; a test compares them with docker-compose.yml
COMPOSE = (
    ("WORKERS", "1", "worker nodes"),
    ("COMPOSE_PROFILES", "emulator,grafana", "what runs beside the rest: emulator or aws (real SQS), grafana, alerts"),
    ("COMPOSE_PROJECT_NAME", "aforo", "name of the stack; two of different names and ports run side by side"),
    ("AFORO_COMPOSE_WORKER_CPUS", "0", "CPU limit of each worker; 0 means none"),
    ("AFORO_COMPOSE_WORKER_MEMORY", "8g", "memory limit of each worker"),
    ("AFORO_COMPOSE_WORKER_STOP", "40s", "time a worker has to stop: AFORO_WORKER_SHUTDOWN_SECONDS + 20, or more"),
    ("AFORO_COMPOSE_PROMETHEUS_PORT", "9490", "port of Prometheus on 127.0.0.1"),
    ("AFORO_COMPOSE_GRAFANA_PORT", "3000", "port of Grafana on 127.0.0.1"),
    ("AFORO_COMPOSE_ALERTMANAGER_PORT", "9493", "port of Alertmanager on 127.0.0.1"),
    ("AFORO_POSTGRES_PASSWORD", "aforo", "password of the stack's PostgreSQL; set it before the first `up`"),
    ("AFORO_POSTGRES_READER_PASSWORD", "", "password of the user its exporters read as; empty means a made one"),
    ("PYTHON_IMAGE", "python:3.11.14-slim-bookworm", "what our images are built on; image@sha256:… pins a digest"),
    ("POSTGRES_IMAGE", "postgres:15.14-bookworm", "image of the database"),
    ("REDIS_IMAGE", "redis:7.4.6-bookworm", "image of the Redis for Celery events"),
    ("PROMETHEUS_IMAGE", "prom/prometheus:v3.5.3", "image of Prometheus"),
    ("GRAFANA_IMAGE", "grafana/grafana:12.3.0", "image of Grafana"),
    ("ALERTMANAGER_IMAGE", "prom/alertmanager:v0.28.1", "image of Alertmanager"),
    ("AWS_IMAGE", "", "another AWS emulator on port 4566; empty means ours"),
    ("CELERY_EXPORTER_IMAGE", "", "another image of celery-exporter; empty means ours"),
    ("AFORO_IMAGE_TAG", "latest", "tag of our own images"),
    ("BUILD_NETWORK", "default", "network of image builds; host where only the host reaches the package index"),
)


def render() -> str:
    """Return the text of `.env.example`."""
    settings = ((entry["name"], entry["default"], entry["meaning"]) for entry in declared())
    return HEAD + _listed(settings) + COMPOSE_HEAD + _listed(COMPOSE)


def _listed(entries: Iterable[tuple[str, str, str]]) -> str:
    return "".join(f"\n# {meaning}\n#{name}={default}\n" for name, default, meaning in entries)

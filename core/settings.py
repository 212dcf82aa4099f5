"""All settings of Aforo's programs: name, default, meaning and allowed values.

`Settings.from_process()` reads them at the edge of each program. `.env.example` is generated from this file. The
settings of the package `aforo` are in `aforo/settings.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints
from urllib.parse import urlsplit

from dotenv import dotenv_values

from aforo.settings import EVENTS_REDIS_URL
from core.app_file import AppFile, read_app_file
from core.app_file.values import queue_name
from core.errors import UsageError
from core.ffmpeg.profiles import PROFILES
from core.language import DEFAULT_LANGUAGE, LANGUAGES, Language
from core.plain_number import plain_number
from core.user_files import expanded_path

Parser = Callable[[str], Any]
Record = TypeVar("Record")
EMULATOR_URL = "http://127.0.0.1:4566"
MOST_SLOTS = 512
#: most workers of one run
MOST_WORKERS = 1000
#: names of this machine for itself
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PROFILE_NAMES = tuple(PROFILES)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def _text(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("printable text that is not empty")
    return value


def _url(value: str) -> str:
    if "://" not in value:
        raise ValueError("a URL with a scheme, such as http://127.0.0.1:4566")
    return value


def _optional_http_url(value: str) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not value.isprintable() or " " in value:
        raise ValueError("a URL such as https://metrics.example/api/v1/write")
    if not re.fullmatch(r"[^:\[]+(:\d{1,5})?|\[.*\](:\d{1,5})?", parts.netloc.rpartition("@")[2]):
        raise ValueError("a URL whose port is a number")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL without user and password, which have settings of their own")
    return value


def _optional_text(value: str) -> str:
    return _text(value) if value else ""


def _database_url(value: str) -> str:
    if re.match(r"sqlite(\+\w+)?:(//)?/?(:memory:|\?|$)", value) or "mode=memory" in value:
        raise ValueError("a database in a file or on a server: each program would have a memory of its own")
    return _url(value)


def _optional_url(value: str) -> str | None:
    return _url(value) if value else None


def _path(value: str) -> Path:
    return expanded_path(value)


def _optional_path(value: str) -> Path | None:
    return _path(value) if value else None


def _queue_patterns(value: str) -> tuple[str, ...]:
    patterns = tuple(part.strip() for part in value.split(",") if part.strip())
    for pattern in patterns:
        queue_name(pattern.removesuffix("*"))
    return patterns


def _addresses(value: str) -> tuple[str, ...]:
    addresses: list[str] = []
    for part in filter(None, (part.strip() for part in value.split(","))):
        host, _, ports = part.rpartition(":")
        first, _, last = ports.partition("-")
        if not host or not f"{first}{last}".isdigit() or not first or not 0 < int(first) <= int(last or first) < 2**16:
            raise ValueError("HOST:PORT or HOST:PORT-PORT, separated by commas")
        addresses += [f"{host}:{port}" for port in range(int(first), int(last or first) + 1)]
    return tuple(addresses)


def _pairs(value: str) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(key.strip() and equals for key, equals, _ in pairs):
        raise ValueError("name=value pairs, separated by commas")
    return {key.strip(): text.strip() for key, _, text in pairs}


def _choice(*allowed: str) -> Parser:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError("one of " + ", ".join(filter(None, allowed)))
        return value

    return parse


def _profile(value: str) -> str:
    """Return a profile's name or the path of a TOML file, whose content is read when a run starts."""
    return value if value.endswith(".toml") else _choice("", *PROFILE_NAMES)(value)


def _whole(low: int, high: int) -> Parser:
    def parse(value: str) -> int:
        digits = value.lstrip("0") or value[-1:]
        if not (value.isascii() and value.isdigit() and len(digits) <= len(str(high)) and low <= int(digits) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(digits)

    return parse


def _number(low: float, high: float) -> Parser:
    def parse(value: str) -> float:
        try:
            number = plain_number(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return number

    return parse


def _optional_number(low: float, high: float) -> Callable[[str], float | None]:
    parse = _number(low, high)
    return lambda value: parse(value) if value else None


def _duration(value: str) -> float:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h)", value, re.ASCII)
    if match is None or not float(match[1]):
        raise ValueError("a duration such as 60s, 5min or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def _programs(value: str) -> tuple[str, ...]:
    return tuple(part for part in value.split(":") if part)


def setting(name: str, default: str, parse: Parser, meaning: str) -> Any:
    """Declare one setting: a dataclass field that is read from the environment variable `name`.

    `parse` checks and converts the text of the variable. `meaning` is its description for `.env.example`.
    """
    metadata = {"name": name, "default": default, "parse": parse, "meaning": meaning}
    return field(default_factory=lambda: parse(default), metadata=metadata)


_PORT = _whole(1, 65535)


@dataclass(frozen=True)
class Aws:
    """Settings of AWS, or of its local emulator. boto3 reads the credentials itself."""

    region: str = setting("AWS_REGION", "us-east-1", _text, "AWS region of the queue and the bucket")
    endpoint_url: str | None = setting(
        "AWS_ENDPOINT_URL",
        "",
        _optional_url,
        "URL of the AWS emulator; empty means real AWS (with STACK=native, the stack's own emulator)",
    )
    s3_endpoint_url: str | None = setting(
        "AWS_ENDPOINT_URL_S3", "", _optional_url, "URL of S3 if it differs, such as MinIO; empty means AWS_ENDPOINT_URL"
    )

    def endpoint_of(self, service: str) -> str | None:
        """Return the URL of the AWS service `service`, such as that of a local emulator. None means real AWS."""
        return (self.s3_endpoint_url if service == "s3" else None) or self.endpoint_url


@dataclass(frozen=True)
class Queue:
    """Settings of the SQS queue. The worker checks at its start that the real queue agrees with them."""

    name: str = setting("SQS_QUEUE_NAME", "aforo-videos", queue_name, "queue that carries the tasks")
    visibility_timeout_seconds: int = setting(
        "AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS",
        "60",
        _whole(3, 43200),
        "visibility timeout of a queue that we create; the worker extends it while a task runs",
    )
    max_receive_count: int = setting(
        "AFORO_QUEUE_MAX_RECEIVE_COUNT", "8", _whole(5, 1000), "receives before SQS moves a message to the DLQ"
    )
    long_poll_seconds: int = setting(
        "AFORO_QUEUE_LONG_POLL_SECONDS", "5", _whole(1, 20), "longest wait of a receive for a message"
    )

    @property
    def dead_letter_name(self) -> str:
        """Return the name of this queue's dead-letter queue."""
        return f"{self.name[:76]}-dlq"


@dataclass(frozen=True)
class Storage:
    """Settings of the storage of input and output videos: a folder or an S3 bucket."""

    backend: str = setting(
        "STORAGE_BACKEND", "filesystem", _choice("filesystem", "s3"), "kind of storage: filesystem or s3"
    )
    path: Path = setting("UPLOAD_PATH", "videos", _path, "root folder of the filesystem storage, shared with workers")
    bucket: str = setting("AWS_S3_BUCKET", "aforo-videos", _text, "bucket of the s3 storage")
    upload_prefix: str = setting("S3_UPLOAD_PREFIX", "uploads/", _text, "prefix of inputs (both backends)")
    processed_prefix: str = setting("S3_PROCESSED_PREFIX", "processed/", _text, "prefix of outputs (both backends)")


@dataclass(frozen=True)
class Database:
    """Settings of the database with the runs, videos and executions."""

    url: str = setting(
        "AFORO_DATABASE_URL",
        "sqlite:///.local/aforo.db",
        _database_url,
        "Aforo's own database: the SQLAlchemy URL of an SQLite file or of a PostgreSQL server",
    )
    readonly_url: str | None = setting(
        "AFORO_DATABASE_READONLY_URL",
        "",
        _optional_url,
        "the same database for the exporters, as a user who can only read; `make up` creates that user on PostgreSQL; "
        "empty means AFORO_DATABASE_URL",
    )

    @property
    def reading_url(self) -> str:
        """Return the database URL for the exporters, which only read."""
        return self.readonly_url or self.url


@dataclass(frozen=True)
class Worker:
    """Settings of our reference worker and its ffmpeg."""

    concurrency: int = setting(
        "AFORO_WORKER_CONCURRENCY", "2", _whole(1, MOST_SLOTS), "slots (processes) of one worker node"
    )
    profile: str = setting(
        "AFORO_WORKER_PROFILE",
        "full",
        _choice(*PROFILE_NAMES),
        "encoding of the videos: full, showcase, hevc, av1 or nvenc",
    )
    threads: int = setting(
        "AFORO_WORKER_THREADS",
        "0",
        _whole(0, 256),
        "ffmpeg -threads; 0 means the cores, or the CPU quota of the container, ÷ concurrency, as far as memory allows",
    )
    work_path: Path = setting("AFORO_WORKER_WORK_PATH", ".local/work", _path, "folder of temporary files")
    metrics_host: str = setting("AFORO_WORKER_METRICS_HOST", "127.0.0.1", _text, "address /metrics listens on")
    metrics_port: int = setting("AFORO_WORKER_METRICS_PORT", "9101", _PORT, "port of /metrics")
    deadline_seconds: int = setting(
        "AFORO_WORKER_DEADLINE_SECONDS", "1800", _whole(5, 36000), "longest time ffmpeg may take for one video"
    )
    stall_seconds: int = setting(
        "AFORO_WORKER_STALL_SECONDS", "120", _whole(2, 3600), "ffmpeg is stopped after this time without progress"
    )
    ffmpeg_memory_mib: int = setting(
        "AFORO_WORKER_FFMPEG_MEMORY_MIB", "4096", _whole(1024, 1048576), "address space one ffmpeg may use"
    )
    bandwidth_limits: str = setting(
        "AFORO_WORKER_BANDWIDTH_LIMITS",
        "local",
        _choice("none", "local", "all"),
        "which bandwidth limits a starting worker measures once per day: none; local, the disk and an S3 other than "
        "AWS's; all, real S3 too (writes, reads and deletes 4 objects under S3_PROCESSED_PREFIX)",
    )
    max_executions: int = setting(
        "AFORO_WORKER_MAX_EXECUTIONS", "4", _whole(1, 100), "executions of one video before it fails"
    )
    shutdown_seconds: int = setting(
        "AFORO_WORKER_SHUTDOWN_SECONDS", "20", _whole(0, 3600), "time for running tasks to finish after SIGTERM"
    )


@dataclass(frozen=True)
class Events:
    """Settings of the Redis that transports Celery events to celery-exporter."""

    redis_url: str | None = setting(
        EVENTS_REDIS_URL.name,
        EVENTS_REDIS_URL.default_of_programs,
        _optional_url,
        "Redis for Celery events; empty turns forwarding off, and is the default in your own worker",
    )


@dataclass(frozen=True)
class Exporters:
    """Settings of the SQS exporter and of the database exporter."""

    host: str = setting("AFORO_EXPORTER_HOST", "127.0.0.1", _text, "address of the exporters and of the collector")
    sqs_port: int = setting("AFORO_EXPORTER_SQS_PORT", "9102", _PORT, "port of `python -m exporters sqs`")
    db_port: int = setting("AFORO_EXPORTER_DB_PORT", "9103", _PORT, "port of `python -m exporters db`")
    runs: int = setting("AFORO_EXPORTER_RUNS", "200", _whole(1, 5000), "newest runs that get exact per-run series")
    timeout_seconds: float = setting(
        "AFORO_EXPORTER_TIMEOUT_SECONDS", "4", _number(0.1, 60), "longest wait for a source during one scrape"
    )
    tls_certificate: Path | None = setting(
        "AFORO_EXPORTER_TLS_CERTIFICATE",
        "",
        _optional_path,
        "PEM certificate chain; set it with the key to serve HTTPS",
    )
    tls_key: Path | None = setting("AFORO_EXPORTER_TLS_KEY", "", _optional_path, "PEM key of that certificate")
    auth_file: Path | None = setting(
        "AFORO_EXPORTER_AUTH_FILE", "", _optional_path, "file with one line user:password, for basic authentication"
    )
    queues: tuple[str, ...] = setting(
        "AFORO_EXPORTER_QUEUES",
        "",
        _queue_patterns,
        "queues to watch: names, or prefixes that end in *, separated by commas; empty means SQS_QUEUE_NAME",
    )
    busy_seconds: float = setting(
        "AFORO_EXPORTER_BUSY_SECONDS",
        "5",
        _number(0.1, 3600),
        "time between reads of SQS while the queue holds messages",
    )
    run_seconds: float = setting(
        "AFORO_EXPORTER_RUN_SECONDS",
        "1",
        _number(0.1, 3600),
        "mean time between reads of SQS while a run is active; each wait is half to one and a half times as long",
    )
    idle_seconds: float = setting(
        "AFORO_EXPORTER_IDLE_SECONDS", "15", _number(0.1, 3600), "time between reads of SQS while the queue is empty"
    )
    usd_per_million_calls: float = setting(
        "AFORO_EXPORTER_USD_PER_MILLION_CALLS", "0.40", _number(0, 1000), "price of a million SQS API calls"
    )
    overlap_seconds: float = setting(
        "AFORO_EXPORTER_OVERLAP_SECONDS",
        "30",
        _number(1, 86400),
        "longest time from a row's updated_at to its commit, including clock differences",
    )
    rebuild_seconds: float = setting(
        "AFORO_EXPORTER_REBUILD_SECONDS", "900", _number(1, 604800), "time between full counts of the database"
    )
    videos_table: str = setting("AFORO_EXPORTER_VIDEOS_TABLE", "videos", _text, "table of videos, [schema.]table")
    videos_columns: Mapping[str, str] = setting(
        "AFORO_EXPORTER_VIDEOS_COLUMNS",
        "",
        _pairs,
        "ours=yours for columns with other names: id, run_id, state, reason, uploaded_at, sent_at, started_at, "
        "updated_at, intended_at; `run_id=` means that the table has no runs",
    )
    videos_times: str = setting(
        "AFORO_EXPORTER_VIDEOS_TIMES",
        "epoch",
        _choice("epoch", "epoch_ms", "timestamp"),
        "type of the times in that table: epoch (seconds), epoch_ms, or timestamp (the database's own type, UTC)",
    )
    videos_states: Mapping[str, str] = setting(
        "AFORO_EXPORTER_VIDEOS_STATES",
        "",
        _pairs,
        "yours=ours for states with other names; ours are uploaded, processing, done, failed",
    )


@dataclass(frozen=True)
class Collector:
    """Settings of the collector, which reads execution records from instrumented workers."""

    port: int = setting("AFORO_COLLECTOR_PORT", "9104", _PORT, "port of the metrics of `python -m collector serve`")
    workers: tuple[str, ...] = setting(
        "AFORO_COLLECTOR_WORKERS",
        "",
        _addresses,
        "HOST:PORT or HOST:PORT-PORT of instrumented workers that are not targets of Prometheus, separated by commas",
    )
    interval_seconds: float = setting(
        "AFORO_COLLECTOR_INTERVAL_SECONDS", "1", _number(0.05, 60), "time between two readings of all workers"
    )


@dataclass(frozen=True)
class Prometheus:
    """Settings of Prometheus, Grafana and celery-exporter: URLs, and ports in the native stack."""

    url: str = setting("AFORO_PROMETHEUS_URL", "http://127.0.0.1:9490", _url, "base URL of Prometheus")
    page: str | None = setting(
        "AFORO_PROMETHEUS_PAGE",
        "",
        _optional_url,
        "URL of Prometheus in a browser; empty means AFORO_PROMETHEUS_URL",
    )
    grafana_url: str = setting("AFORO_GRAFANA_URL", "http://127.0.0.1:3000", _url, "base URL of Grafana")
    grafana_page: str | None = setting(
        "AFORO_GRAFANA_PAGE",
        "",
        _optional_url,
        "URL of Grafana in a browser; empty means AFORO_GRAFANA_URL",
    )
    celery_exporter_port: int = setting("AFORO_CELERY_EXPORTER_PORT", "9808", _PORT, "port of celery-exporter")
    labels: Mapping[str, str] = setting(
        "AFORO_PROMETHEUS_LABELS",
        "",
        _pairs,
        "name=value labels that this stack's Prometheus adds to all that it sends, such as team=video,site=madrid; "
        "they keep the stacks of a central store apart",
    )
    remote_write_url: str | None = setting(
        "AFORO_REMOTE_WRITE_URL",
        "",
        _optional_http_url,
        "URL of a central store (Prometheus, Mimir, Thanos) to which this stack's Prometheus also sends every sample; "
        "empty sends none",
    )
    remote_write_user: str = setting(
        "AFORO_REMOTE_WRITE_USER",
        "",
        _optional_text,
        "user of the central store; empty means that the credentials are a bearer token, or that it needs none",
    )
    remote_write_credentials_file: Path | None = setting(
        "AFORO_REMOTE_WRITE_CREDENTIALS_FILE", "", _optional_path, "file with the password of that user, or the token"
    )
    remote_write_tenant: str = setting(
        "AFORO_REMOTE_WRITE_TENANT", "", _optional_text, "tenant of the central store (its header X-Scope-OrgID)"
    )


@dataclass(frozen=True)
class Results:
    """Settings of the files that a run writes for the user."""

    path: Path = setting("AFORO_RESULTS_PATH", "results", _path, "folder of logs, runs, table and report")


@dataclass(frozen=True)
class Plan:
    """Default values for the options of `make plan`, which computes the workers needed for a demand."""

    wait_p95_seconds: float = setting(
        "AFORO_PLAN_WAIT_P95", "60s", _duration, "queue wait that 95 % of the videos stay below"
    )
    arrival_cv: float = setting(
        "AFORO_PLAN_ARRIVAL_CV",
        "1.0",
        _number(0, 5),
        "coefficient of variation of the times between arrivals; 1 for independent users",
    )
    max_utilisation: float = setting(
        "AFORO_PLAN_MAX_UTILISATION", "0.8", _number(0.05, 0.99), "highest share of busy slots"
    )
    spare_workers: int = setting(
        "AFORO_PLAN_SPARE_WORKERS", "1", _whole(0, 1_000_000), "extra workers, so that one may fail"
    )
    price_per_hour: float | None = setting(
        "AFORO_PLAN_PRICE_PER_HOUR",
        "",
        _optional_number(0, 1_000_000),
        "price of one worker, for the cost per 1,000 videos; empty means unknown",
    )
    backlog: int = setting(
        "AFORO_PLAN_BACKLOG", "0", _whole(0, 1_000_000_000), "videos already in the queue, for the time to drain them"
    )


@dataclass(frozen=True)
class Settings:
    """All settings of one program, validated."""

    aws: Aws = field(default_factory=Aws)
    queue: Queue = field(default_factory=Queue)
    storage: Storage = field(default_factory=Storage)
    database: Database = field(default_factory=Database)
    worker: Worker = field(default_factory=Worker)
    events: Events = field(default_factory=Events)
    exporters: Exporters = field(default_factory=Exporters)
    collector: Collector = field(default_factory=Collector)
    prometheus: Prometheus = field(default_factory=Prometheus)
    results: Results = field(default_factory=Results)
    plan: Plan = field(default_factory=Plan)
    stack: str = setting(
        "STACK", "native", _choice("native", "compose", "aws"), "where the programs run: native, compose or aws"
    )
    lang: Language = setting(
        "AFORO_LANG",
        DEFAULT_LANGUAGE,
        _choice(*LANGUAGES),
        "language of results, progress, report, live page and dashboards: es or en (errors and logs are English)",
    )
    app_file: Path | None = setting(
        "AFORO_APP_FILE",
        "",
        _optional_path,
        "aforo.toml of the worker under test, as `make … APP=` sets it; empty means our reference worker",
    )
    app_stuck_seconds: float = setting(
        "AFORO_APP_STUCK_SECONDS",
        "1800",
        _number(1, 86400),
        "a run of an app ends as interrupted after this time without any change of its videos",
    )
    run_profile: str = setting(
        "PROFILE",
        "",
        _profile,
        "encoding of one run: full, showcase, hevc, av1, nvenc or a path ending in .toml; empty means the worker's",
    )
    promtools: tuple[str, ...] = setting(
        "AFORO_PROMTOOLS", "", _programs, "further promtool programs for the rule tests, separated by ':'"
    )

    @property
    def profile(self) -> str:
        """Return the encoding profile of the next run: a profile name, or the path of a TOML file."""
        return self.run_profile or self.worker.profile

    @property
    def app(self) -> AppFile | None:
        """Return the app under test, read from its aforo.toml. None means our reference worker.

        Raise UsageError or EnvironmentFault as `read_app_file` does.
        """
        return None if self.app_file is None else read_app_file(self.app_file)

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings from `environment`. Raise UsageError for the first invalid variable.

        In the native stack, the AWS endpoint is the local emulator, unless a variable names another endpoint or an app
        is tested. Raise UsageError for an app under test in the compose stack.
        """
        settings = _read(cls, environment)
        if settings.app_file is not None and settings.stack == "compose":
            why = "containers of ours see neither the app's folder nor its Docker"
            raise UsageError("STACK", why, "use STACK=native or aws with APP", value=settings.stack)
        if settings.app_file is not None:
            return settings  # AWS is the app's, never our emulator unless the app names it
        return settings if settings.stack != "native" else _with_emulator(settings)

    @classmethod
    def from_process(cls, dotenv: Path = Path(".env")) -> Settings:
        """Read the settings of this process from its environment variables and from the file `dotenv`.

        If both set a variable, the environment variable is used. The AWS_* variables are also copied to the environment
        of this process, for boto3. Raise UsageError for the first invalid variable.

        With an app under test, the name of the queue comes from aforo.toml. The AWS_* variables then come from the
        app's `env_file` or else from the environment, and never from `dotenv`.
        """
        filed = {k: v for k, v in dotenv_values(dotenv, encoding="utf-8-sig").items() if v is not None}
        environment = {**filed, **os.environ}
        app_file = environment.get("AFORO_APP_FILE", "").strip()
        if app_file:
            environment = _environment_of_app(read_app_file(Path(app_file)), filed, os.environ)
        elif "DATABASE_URL" in environment and "AFORO_DATABASE_URL" not in environment:
            _note_other_database()
        _export_for_boto3(environment)
        return cls.from_env(environment)


def is_local(url: str | None) -> bool:
    """Return True if the host of `url` is this machine, such as `localhost`. None (real AWS) is not local."""
    return urlsplit(url or "").hostname in LOOPBACK


def declared() -> list[dict[str, str]]:
    """Return name, default and meaning of every setting, for `.env.example`."""
    fields = [f for f in dataclasses.fields(Settings) if f.metadata]
    for group in dataclasses.fields(Settings):
        if not group.metadata:
            fields += dataclasses.fields(get_type_hints(Settings)[group.name])
    return [{key: f.metadata[key] for key in ("name", "default", "meaning")} for f in fields]


def _environment_of_app(app: AppFile, filed: Mapping[str, str], process: Mapping[str, str]) -> dict[str, str]:
    """Return our variables with the queue and the AWS_* variables of the app.

    `filed` is our `.env`, whose AWS_* variables name our own emulator or account. `process` is the environment.
    """
    ours = {name: value for name, value in filed.items() if not name.startswith("AWS_")}
    merged = {**ours, **process, **app.aws_variables, "SQS_QUEUE_NAME": app.queue}
    region = merged.get("AWS_REGION") or merged.get("AWS_DEFAULT_REGION")
    return {**merged, "AWS_REGION": region} if region else merged


def _export_for_boto3(environment: Mapping[str, str]) -> None:
    """Set the AWS_* variables in this process, where boto3 reads them. It knows more of them than our settings."""
    for name, value in environment.items():
        if name.startswith("AWS_"):
            os.environ[name] = value


@functools.cache
def _note_other_database() -> None:
    note = "note: DATABASE_URL is not read; Aforo's own database is AFORO_DATABASE_URL, see .env.example"
    print(note, file=sys.stderr)


def _read(kind: type[Record], environment: Mapping[str, str]) -> Record:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for entry in dataclasses.fields(kind):  # type: ignore[arg-type]
        values[entry.name] = _value(entry, environment) if entry.metadata else _read(hints[entry.name], environment)
    return kind(**values)


def _value(entry: dataclasses.Field[Any], environment: Mapping[str, str]) -> Any:
    raw = environment.get(entry.metadata["name"], entry.metadata["default"])
    try:
        return entry.metadata["parse"](raw.strip())
    except ValueError as error:
        name, remedy = entry.metadata["name"], "correct it in the environment or in .env"
        raise UsageError(name, f"it must be {error}", remedy, value=raw) from None


def _with_emulator(settings: Settings) -> Settings:
    """Make the native stack use its own emulator, unless the user set another endpoint."""
    aws = dataclasses.replace(settings.aws, endpoint_url=settings.aws.endpoint_url or EMULATOR_URL)
    return dataclasses.replace(settings, aws=aws)
